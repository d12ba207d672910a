"""From a few distances that a tape measured to metres all over the photo, and to lengths with their sigma.

`mini`, which comes with depth3d, gives relative depth. Five tape readings turn it into metres; one of them
was noted down wrong, which the others show. Lengths and their sigmas stand beside those of the true depth.
"""

from pathlib import Path

import depth3d as d3

DATA = Path(__file__).parent / "data"

# Pixel, and what a tape says from the lens to the point: wall, table, vase, cup, front edge of the mat.
TAPE = [(480, 250, 2.17), (100, 420, 1.88), (265, 400, 1.41), (705, 530, 1.71), (480, 695, 0.94)]
LENGTHS = {"the picture's width": [(430, 105), (607, 105)], "across the mat": [(200, 672), (690, 630)]}


def main() -> None:
    references = [d3.Anchor.from_range(u, v, metres) for u, v, metres in TAPE]
    opened = d3.open_photo(
        DATA / "still_life.png",
        camera_file=DATA / "still_life_camera.json",
        references=references,
        estimator=d3.DepthEstimator.from_pretrained("mini"),
    )
    fit, camera = opened.calibration, opened.scene.camera
    print(fit)
    for reference, used, off in zip(references, fit.inliers, fit.residuals_m, strict=True):
        print(f"  {'used' if used else 'rejected':9}{reference!r}, off by {off:+.3f} m")
    print(*(f"  {line}" for line in fit.notes), sep="\n")

    truth = d3.load_depth(DATA / "still_life_depth.png")
    for name, points in LENGTHS.items():
        found = d3.measure(opened.raw_depth, camera, points, calibration=fit)
        exact = d3.measure(truth, camera, points)
        print(f"{name}: {found.total_m:.3f} +- {found.total_sigma_m:.3f} m, truly {exact.total_m:.3f} m")
    print("measure next:", d3.next_measurement(fit, opened.raw_depth).sentence)


if __name__ == "__main__":
    main()
