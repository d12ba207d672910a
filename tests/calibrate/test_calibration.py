"""Calibrations: the affine law, the assumed range, and JSON."""

import json

import numpy as np
import pytest

from depth3d.calibrate.assumed_range import assume_range
from depth3d.calibrate.calibration import Calibration
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError


def test_apply_is_the_inverse_of_the_affine_law():
    z = np.linspace(0.5, 40, 60).reshape(6, 10)
    scale, shift = 0.037, 0.011
    depth = DepthMap(((1 / z) - shift) / scale, "relative")
    metres = Calibration(scale, shift).apply(depth)
    assert metres.is_metric
    np.testing.assert_allclose(metres.values, z, rtol=2e-5)


def test_at_and_beyond_infinity_is_unknown_and_never_a_wall():
    depth = DepthMap(np.array([[0.0, 1.0, 2.0]]), "relative")
    metres = Calibration(1.0, -1.0).apply(depth).values
    np.testing.assert_array_equal(metres, np.array([[np.nan, np.nan, 1.0]], np.float32))


def test_assumed_range_puts_the_extremes_where_they_were_asked():
    depth = DepthMap(np.array([[0.2, 3.0], [np.nan, 7.5]]), "relative")
    calibration = assume_range(depth, 1.5, 20.0)
    metres = calibration.apply(depth).values
    np.testing.assert_allclose([np.nanmin(metres), np.nanmax(metres)], [1.5, 20.0], rtol=1e-6)
    assert np.isnan(metres[1, 0])
    assert calibration.method == "assumed range"


@pytest.mark.parametrize("value", [0.0, 1e-9, 5.0, -3.0])
def test_assumed_range_of_a_map_without_relief_is_one_plane_inside_the_range(value):
    depth = DepthMap(np.full((3, 4), value), "relative")
    metres = assume_range(depth, 1.0, 16.0).apply(depth).values
    np.testing.assert_allclose(metres, 4.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("near_m", "far_m"),
    [
        (0.0, 1.0),  # zero distance
        (2.0, 1.0),  # the wrong way round
        (1.0, 1.0),  # no range at all
        (1.0, float("inf")),  # nothing is known to be at infinity
    ],
)
def test_assumed_range_refuses_nonsense(near_m, far_m):
    with pytest.raises(InputError, match="0 < near < far"):
        assume_range(DepthMap(np.eye(2), "relative"), near_m, far_m)


def test_metric_and_empty_maps_are_refused():
    with pytest.raises(InputError, match="metric already"):
        assume_range(DepthMap(np.ones((2, 2)), "metric"), 1, 2)
    with pytest.raises(InputError, match="metric already"):
        Calibration(1, 0).apply(DepthMap(np.ones((2, 2)), "metric"))
    with pytest.raises(InputError, match="no known pixel"):
        assume_range(DepthMap(np.full((2, 2), np.nan), "relative"), 1, 2)


def test_json_round_trip_is_exact():
    calibration = Calibration(
        0.1 + 0.2,
        -1 / 3,
        "two anchors",
        ((1e-6, 2e-7), (2e-7, 3e-6)),
        (True, False),
        (0.01, -0.2),
        "small",
        518,
    )
    back = Calibration.from_json(calibration.to_json())
    for name in Calibration.__dataclass_fields__:
        assert getattr(back, name) == getattr(calibration, name), name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not JSON"),
        ("[1, 2]", "no calibration"),
        ('{"scale": 1}', "no calibration"),
        ('{"format": "depth3d-calibration", "version": 9}', "update depth3d"),
        ('{"format": "depth3d-calibration", "version": 1, "scale": 1}', "'shift'"),
        ('{"format": "depth3d-calibration", "version": 1, "scale": "x", "shift": 0}', "wrong type"),
        ('{"format": "depth3d-calibration", "version": 1, "scale": -1, "shift": 0}', "must be positive"),
        ('{"format": "depth3d-calibration", "version": 1, "scale": NaN, "shift": 0}', "must be finite"),
        (
            '{"format": "depth3d-calibration", "version": 1, "scale": 1, "shift": 0, "covariance": 3}',
            "wrong type",
        ),
        *(
            (
                '{"format": "depth3d-calibration", "version": 1, "scale": 1, "shift": 0, ' + field + "}",
                f"{field.split(chr(34))[1]} of a calibration is of the wrong type",
            )
            for field in ('"model": 3', '"input_size": "518"', '"inliers": "yes"', '"residuals_m": null')
        ),
        ('{"format": "depth3d-calibration", "version": 1, "shift": 0, "scale": 1' + "0" * 400 + "}", "wrong"),
        ("9" * 5000, "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_from_json_says_what_is_wrong(text, sentence):
    with pytest.raises(InputError, match=sentence):
        Calibration.from_json(text)


def test_numpy_s_numbers_are_taken_and_saved():
    calibration = Calibration(
        np.float32(0.5), np.float64(0.25), covariance=np.eye(2), inliers=np.array([True, False]),
        residuals_m=np.float32([0.5, -0.5]), input_size=np.int64(518),
    )  # fmt: skip
    back = Calibration.from_json(calibration.to_json())
    assert (back.scale, back.shift, back.input_size) == (0.5, 0.25, 518)
    assert back.covariance == ((1.0, 0.0), (0.0, 1.0))
    assert back.inliers == (True, False)
    assert back.residuals_m == (0.5, -0.5)


def test_json_is_plain():
    assert json.loads(Calibration(1, 2).to_json())["scale"] == 1
