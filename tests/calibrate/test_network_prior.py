"""A metric network as a reference: dense, and worth little."""

import numpy as np
import pytest

from depth3d.calibrate.from_references import equations_from
from depth3d.calibrate.network_prior import reference_network
from depth3d.calibrate.references import Anchor
from depth3d.core.depth import DepthMap
from depth3d.errors import NeedsMetricError


def test_all_its_pixels_together_weigh_less_than_one_tape():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 4, (60, 80)).astype(np.float32)
    prior = reference_network(DepthMap(truth, "metric"), (160, 120))
    depth = DepthMap(np.ones((120, 160), np.float32), "relative")
    rows = equations_from(depth, [prior, Anchor(80, 60, 2.0)], None).observations
    weight = rows.share * (rows.inverse_depth / rows.sigma) ** 2  # in units of z
    of_prior = weight[rows.reference == 0].sum()
    assert len(rows) == 60 * 80 + 1
    assert of_prior == pytest.approx(5 / 0.12**2)
    assert of_prior < 0.2 * weight[rows.reference == 1].sum()


def test_a_relative_map_is_no_prior():
    with pytest.raises(NeedsMetricError):
        reference_network(DepthMap(np.ones((4, 4), np.float32), "relative"), (4, 4))
