"""The one picture that shows how a depth map is distributed."""

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.inspection import depth_facts
from depth3d.io.depth_report import depth_report
from depth3d.io.previews import colorize_depth

NEARLY_CONSTANT = np.full((20, 30), 5, np.float32)
NEARLY_CONSTANT[3, 4] = np.nextafter(np.float32(5), np.float32(6))


@pytest.mark.parametrize("kind", ["relative", "metric"])
@pytest.mark.parametrize(
    "values",
    [
        np.float32([[2]]),
        np.full((3, 4), np.nan, np.float32),
        np.full((3, 4), 2, np.float32),
        NEARLY_CONSTANT,
        np.full((3, 4), 1e9, np.float32),  # half a metre away there is no other float32
        np.linspace(1, 2, 3000, dtype=np.float32)[None],
        np.linspace(1, 2, 3000, dtype=np.float32)[:, None],
    ],
    ids=["1x1", "unknown", "constant", "nearly constant", "far", "one row", "one column"],
)
def test_any_map_has_a_report(values, kind):
    depth = DepthMap(values, kind)
    report = depth_report(depth, depth_facts(depth))
    assert report.shape == (900, 1500, 3)
    assert report.dtype == np.uint8


def test_the_first_panel_shows_the_map_the_right_way_up():
    quarters = np.full((300, 400), 4, np.float32)
    quarters[:150, 200:] = 1  # near at the top right
    depth = DepthMap(quarters, "metric")
    report = depth_report(depth, depth_facts(depth))
    near, far = colorize_depth(depth)[0, -1], colorize_depth(depth)[-1, 0]
    panel = report[60:400, :740]
    rows, columns = np.nonzero((panel == near).all(axis=-1))
    far_rows, far_columns = np.nonzero((panel == far).all(axis=-1))
    assert len(far_rows) == pytest.approx(3 * len(rows), rel=0.05)
    assert rows.max() < far_rows.max()
    assert columns.min() > far_columns.min()
    assert rows.mean() < far_rows.mean()
    assert columns.mean() > far_columns.mean()
