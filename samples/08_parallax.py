"""Move a camera through a photo: an orbit as a loop, a dolly zoom, keyframes, and single views.

The layers (what is seen, and what lies behind it) are made once and filmed as often as you like.
"""

from pathlib import Path

import numpy as np

import depth3d as d3

DATA = Path(__file__).parent / "data"
OUT = Path("out")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    scene = d3.open_photo(DATA / "still_life.png", depth=DATA / "still_life_depth.png").scene
    depth = d3.DepthMap(scene.depth.values[1::3, 1::3], "metric")  # every third pixel, to be quick
    layers = d3.layers(d3.RGBD(scene.image[1::3, 1::3], depth, scene.camera.resized(320, 240)))

    d3.save(d3.parallax(layers, d3.Orbit(), frames=12), OUT / "orbit.gif", fps=8)
    vertigo = d3.parallax(layers, d3.DollyZoom(), frames=8, pivot=(121, 181), repeat="ping-pong")
    d3.save(vertigo, OUT / "vertigo.mp4", fps=8)

    keys = [d3.Keyframe(0), d3.Keyframe(1, (1, 0, 0.5)), d3.Keyframe(2, (-1, 0, 1), zoom=1.1)]
    look = d3.FilmLook(strength_px=4, vignette=0.3)
    d3.save(d3.parallax(layers, d3.Keyframes(keys), frames=6, look=look), OUT / "keys.mp4", fps=3)

    # Single views from any pose: 3 cm to the right, and 10 cm ahead.
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[0, 0, 3], poses[1, 2, 3] = 0.03, 0.10
    for name, view in zip(("right", "ahead"), d3.render_views(layers, poses), strict=True):
        d3.save(view, OUT / f"view_{name}.png")

    film = d3.Film(layers, d3.Sway(), d3.Timing(90))
    plan = film.plan
    print(f"the still point is {film.pivot.why}")
    print(f"a sway of {2000 * plan.length:.0f} mm uncovers up to {plan.jump_px:.1f} px")


if __name__ == "__main__":
    main()
