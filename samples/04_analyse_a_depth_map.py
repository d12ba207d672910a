"""Look at a depth map the way people analyse one: numbers, colours, and one picture with both."""

from pathlib import Path

import depth3d as d3
from depth3d.inspection import draw_report

DATA = Path(__file__).parent / "data"
OUT = Path("out")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    found = d3.inspect(DATA / "still_life_depth.png")
    for name, value in found.facts.items():
        print(f"{name:16} {value}")

    depth = d3.load_depth(DATA / "still_life_depth.png")
    d3.save(d3.colorize_depth(depth, "Spectral_r", legend=True), OUT / "depth_colours.png")
    draw_report(found, OUT / "depth_report.png")


if __name__ == "__main__":
    main()
