"""Make the sample photo: a ray-traced table by a window, with its exact depth and its camera.

Run it from anywhere: it writes beside itself. The picture takes a few minutes on one core.
"""

import json
from pathlib import Path

import cv2

from depth3d.io.camera_json import camera_to_dict
from depth3d.io.depth_files import save_depth
from depth3d.synthetic import default_camera, render_depth, render_image, still_life

HERE = Path(__file__).parent
SAMPLES_A_PIXEL = 12
UNITS_A_METRE = 20_000  # steps of 0.05 mm; 16 bits reach 3.2 m


def main() -> None:
    scene, camera = still_life(), default_camera(960, 720, fov_x_deg=50)
    (HERE / "still_life_camera.json").write_text(json.dumps(camera_to_dict(camera), indent=2) + "\n")

    depth = render_depth(scene, camera)
    made = {"made_by": "depth3d.synthetic.still_life, ray-traced"}
    save_depth(depth, HERE / "still_life_depth.png", camera=camera, provenance=made, png_scale=UNITS_A_METRE)

    image = render_image(scene, camera, samples=SAMPLES_A_PIXEL)
    cv2.imwrite(str(HERE / "still_life.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
