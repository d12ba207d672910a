"""References: what they refuse, and samples taken from maps."""

import numpy as np
import pytest

from depth3d.calibrate.references import (
    Anchor,
    CameraHeight,
    DepthSamples,
    FarPoint,
    KnownLength,
    KnownSize,
    RangeAnchor,
    describe,
)
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError


@pytest.mark.parametrize(
    "make",
    [
        lambda: Anchor(1, 2, 0),  # no distance
        lambda: Anchor(1, 2, -3),
        lambda: Anchor(1, float("nan"), 3),
        lambda: Anchor(1, 2, 3, sigma_m=0),  # nothing is certain
        lambda: Anchor.from_range(1, 2, float("inf")),
        lambda: KnownLength(1, 2, 1, 2, 0.5),  # both ends the same
        lambda: KnownSize(5, 1, 2, 3, 1.8),  # right of left
        lambda: KnownSize(1, 1, 2, 3, 1.8, axis="depth"),
        lambda: FarPoint(1, 2, at_least_m=0),
        lambda: CameraHeight(1.5, pitch_deg=100),
        lambda: CameraHeight(1.5, floor_px=(1, 2, 3)),
        lambda: DepthSamples(np.ones((2, 2)), np.ones(3)),
        lambda: DepthSamples(np.ones((2, 2)), np.array([1.0, 0.0])),
        lambda: DepthSamples(np.ones((0, 2)), np.ones(0)),
        lambda: DepthSamples(np.ones((2, 2)), np.ones(2), error="none"),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(InputError):
        make()


def test_a_tape_makes_a_range_and_not_a_depth():
    tape = Anchor.from_range(10, 20, 2.5, 0.01)
    assert isinstance(tape, RangeAnchor)
    assert (tape.u_px, tape.v_px, tape.range_m, tape.sigma_m) == (10.0, 20.0, 2.5, 0.01)


def test_samples_of_a_smaller_map_sit_at_its_pixel_centres_in_the_photo():
    values = np.full((2, 3), np.nan, np.float32)
    values[1, 2] = 4.0
    samples = DepthSamples.from_map(DepthMap(values, "metric"), (12, 8))
    np.testing.assert_allclose(samples.uv_px, [[10.0, 6.0]])
    np.testing.assert_allclose(samples.depth_m, [4.0])


def test_many_samples_are_thinned_evenly_with_both_ends():
    depth = DepthMap(np.arange(1, 1001, dtype=np.float32).reshape(20, 50), "metric")
    samples = DepthSamples.from_map(depth, (50, 20), most=10)
    assert len(samples.depth_m) == 10
    np.testing.assert_allclose(np.diff(samples.depth_m), 111.0, atol=0.5)
    assert samples.depth_m[0] == 1
    assert samples.depth_m[-1] == 1000


def test_a_map_without_depth_is_refused():
    with pytest.raises(InputError, match="knows no pixel"):
        DepthSamples.from_map(DepthMap(np.full((2, 2), np.nan), "metric"), (2, 2))


def test_descriptions_are_plain_and_count_samples():
    assert describe(Anchor(1, 2, 3.5)) == {
        "kind": "Anchor", "u_px": 1.0, "v_px": 2.0, "depth_m": 3.5, "sigma_m": None,
    }  # fmt: skip
    described = describe(DepthSamples(np.ones((3, 2)), np.array([1.0, 2.0, 4.0]), label="lidar"))
    assert described["pixels"] == 3
    assert described["farthest_m"] == 4.0
    assert "uv_px" not in described
