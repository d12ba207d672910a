"""Scenes whose depth, other views and lens blur are known exactly: to test whatever you build.

The photograph is ray-traced through a real aperture, so its blur and its occlusions are true.
"""

from pathlib import Path

import numpy as np

import depth3d as d3
from depth3d.core.color import to_srgb
from depth3d.synthetic import bars_scene, render_depth, render_image, render_photograph

OUT = Path("out")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    scene = bars_scene()
    camera = d3.Camera.from_fov(240, 180, fov_x_deg=55)
    depth = render_depth(scene, camera)
    print(depth)
    d3.save(render_image(scene, camera), OUT / "bars.png")

    step_right = np.eye(4)
    step_right[0, 3] = 0.1  # camera to world, metres
    d3.save(render_image(scene, camera, step_right), OUT / "bars_from_the_right.png")

    lens = d3.ThinLens.from_f_number(focal_mm=50, f_number=1.4)
    focus_m = float(np.nanmin(depth.values))
    photograph = render_photograph(scene, camera, lens, focus_m, samples=16)
    d3.save(to_srgb(photograph), OUT / "bars_photograph.png")


if __name__ == "__main__":
    main()
