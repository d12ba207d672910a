"""Focus a photo after it was taken: a lens, a tilted lens, six blades, and a focus pull as a video.

The depth here is the true one of the sample picture; with a network's, give `strength_px` instead of a lens.
"""

from pathlib import Path

import depth3d as d3

DATA = Path(__file__).parent / "data"
OUT = Path("out")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    scene = d3.open_photo(DATA / "still_life.png", depth=DATA / "still_life_depth.png").scene
    lens = d3.ThinLens.from_f_number(focal_mm=85, f_number=1.4)
    d3.save(d3.bokeh(scene, focus=(365, 545), lens=lens), OUT / "focus_on_the_fruit.jpg")
    d3.save(d3.bokeh(scene, focus_m=2.2, lens=lens, aperture=d3.Aperture(blades=6)), OUT / "on_the_wall.jpg")
    d3.save(d3.bokeh(scene, focus=(480, 560), lens=lens, tilt_deg=(75, 0)), OUT / "on_the_table.jpg")

    keys = [d3.FocusKey(0, (365, 545), lens=lens), d3.FocusKey(0.5, (520, 100), lens=lens)]
    d3.save(d3.rack_focus(scene, keys, fps=12), OUT / "focus_pull.mp4", fps=12)
    maps = d3.bokeh_maps(scene, focus=(365, 545), lens=lens)
    print(f"{maps.focus.why}: {100 * maps.in_focus.mean():.0f} % of the photo is in focus")


if __name__ == "__main__":
    main()
