"""Make the README's pictures from the shipped scene: depth and cloud, bokeh, matte, effects, a film."""

from pathlib import Path

import numpy as np

import depth3d as d3
from depth3d.synthetic import look_at

ROOT = Path(__file__).parents[1]
DATA = ROOT / "samples" / "data"
WIDTH, HEIGHT = 560, 420


def main() -> None:
    opened = d3.open_photo(DATA / "still_life.png", depth=DATA / "still_life_depth.png")
    cloud = d3.point_cloud(opened.scene)
    view = d3.Camera.from_fov(3 * WIDTH, 3 * HEIGHT, fov_x_deg=46)
    from_aside = look_at(eye=(1.25, -0.75, 0.15), target=(-0.05, 0.0, 1.55), up=(0, -1, 0))
    aside = d3.render_points(cloud, view, from_aside, background=(24, 26, 30), radius_px=3)
    write("still_life.jpg", opened.scene.image, d3.colorize_depth(opened.scene.depth), aside)

    lens = d3.ThinLens.from_f_number(focal_mm=85, f_number=1.4)
    near = d3.bokeh(opened.scene, focus=(365, 545), lens=lens)
    far = d3.bokeh(opened.scene, focus=(520, 100), lens=lens)
    table = d3.bokeh(opened.scene, focus=(480, 560), lens=lens, tilt_deg=(75, 0))
    write("bokeh.jpg", near, far, table)

    matte = d3.depth_matte(opened.scene, at=(265, 400))
    moved = d3.replace_background(opened.scene, matte, "#8fb8d8")
    gray = np.repeat(np.rint(255 * matte).astype(np.uint8)[..., None], 3, axis=2)
    write("matte.jpg", gray, moved, d3.fog(opened.scene, visibility_m=7.0))

    film = d3.parallax(opened.scene, d3.Orbit(), frames=40, size=WIDTH)
    d3.save(film, ROOT / "docs" / "orbit.webp", fps=16, quality=65)


def write(name: str, *panels: np.ndarray) -> None:
    gap = np.full((HEIGHT, 8, 3), 255, np.uint8)
    row = [part for panel in panels for part in (small(panel), gap)][:-1]
    d3.save(np.concatenate(row, axis=1), ROOT / "docs" / name, quality=88)


def small(picture: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
