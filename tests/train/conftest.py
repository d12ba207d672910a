"""Small folders of photos with exact depth, and what a run left behind."""

import csv

import numpy as np
import pytest

SIDE = 70


@pytest.fixture(scope="session")
def floors(tmp_path_factory):
    """Eight pictures of floors from different heights, at different angles, with their depth in metres."""
    import depth3d
    from depth3d.synthetic import default_camera, floor_scene, render_rgbd

    folder = tmp_path_factory.mktemp("floors")
    for i, pitch_deg in enumerate((40, 20, 55, 30, 35, 50, 25, 45)):
        floor = floor_scene(0.8 + 0.2 * i, pitch_deg)
        shown = render_rgbd(floor, default_camera(SIDE, SIDE), samples=2)
        depth3d.save(shown.image, folder / f"{i}.png")
        depth3d.save(shown.depth, folder / f"{i}_depth.npz")
    return folder


@pytest.fixture(scope="session")
def losses_of():
    """Read the sum of the losses of each step of a run."""

    def read(folder):
        with (folder / "training" / "losses.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return np.array(
            [sum(float(v) for k, v in row.items() if k not in ("step", "seconds")) for row in rows]
        )

    return read
