"""Intrinsics: where they come from, and how they follow the pixels.

Pixel centres are at +0.5, so a centred camera has cx = width / 2 and a resize simply scales K.
"""

from pathlib import Path

import numpy as np

import depth3d as d3

DATA = Path(__file__).parent / "data"


def main() -> None:
    # The best source that there is: explicit, file, embedded, EXIF, or 60 degrees assumed.
    print(d3.camera_for(DATA / "still_life.png"))
    print(d3.camera_for(DATA / "still_life.png", focal_35mm=28))
    camera = d3.load_camera(DATA / "still_life_camera.json")
    print(camera)

    # A point keeps its ray when the picture is resized, cropped or turned.
    point = np.array([[0.2, -0.1, 2.0]])
    half = camera.resized(camera.width // 2, camera.height // 2)
    crop = camera.cropped(100, 50, camera.width - 200, camera.height - 100)
    for name, moved in (("photo", camera), ("half size", half), ("crop", crop)):
        print(f"{name:10} pixel {moved.project(point)[0]}")

    # A ray has z = 1, so depth times ray is the point. A tape measures along the ray: longer.
    ray = camera.rays(np.array([[0.5, 0.5]]))[0]
    print(f"in the corner a tape reads {np.linalg.norm(ray):.3f} times z")


if __name__ == "__main__":
    main()
