"""What relative depth means, and how two numbers turn it into metres.

Depth Anything V2's relative map is disparity up to scale and shift: 1/z = s*d + t. Only s and t are missing.
Taking 1/d for depth is wrong, as the last lines show.
"""

from pathlib import Path

import numpy as np

import depth3d as d3

DATA = Path(__file__).parent / "data"


def main() -> None:
    truth = d3.load_depth(DATA / "still_life_depth.png")
    # What a perfect relative network would say: nearer is larger, 0 and 1 are arbitrary.
    q = 1.0 / truth.values
    s, t = np.nanmax(q) - np.nanmin(q), np.nanmin(q)
    relative = d3.DepthMap((q - t) / s, "relative")
    print(relative)

    exact = d3.Calibration(scale=float(s), shift=float(t)).apply(relative)
    print("calibrated:    ", mean_error(exact, truth))

    guess = d3.assume_range(relative, near_m=0.5, far_m=5.0).apply(relative)
    print("assumed range: ", mean_error(guess, truth))

    with np.errstate(divide="ignore"):
        z = 1.0 / relative.values
    naive = d3.DepthMap(z * np.nanmedian(truth.values / z), "metric")
    print("1/d, scaled:   ", mean_error(naive, truth))


def mean_error(depth: d3.DepthMap, truth: d3.DepthMap) -> str:
    error = np.abs(depth.values - truth.values) / truth.values
    return f"{100 * np.nanmean(error):.2f} % of z on average"


if __name__ == "__main__":
    main()
