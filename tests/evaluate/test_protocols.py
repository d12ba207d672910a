"""Crops and ranges by name."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.errors import InputError
from depth3d.evaluate import CROPS, PROTOCOLS, EvaluationProtocol


def kept(crop: str, width: int, height: int) -> tuple[int, int, int, int]:
    """First and last row and column that count."""
    looks = np.zeros((height, width), dtype=bool)
    looks[CROPS[crop](height, width)] = True
    rows, cols = np.flatnonzero(looks.any(axis=1)), np.flatnonzero(looks.any(axis=0))
    assert looks.sum() == len(rows) * len(cols)
    return int(rows[0]), int(rows[-1]), int(cols[0]), int(cols[-1])


def test_nyu():
    assert kept("nyu-eigen", 640, 480) == (45, 470, 41, 600)
    with pytest.raises(InputError, match=r"640x480, and this one is 320x240.*--crop none"):
        CROPS["nyu-eigen"](240, 320)


@pytest.mark.parametrize(
    ("crop", "want"),
    [  # of 1242x375, the commonest size: 0.40810811 * 375 = 153.04, 0.99189189 * 375 = 371.96 ...
        ("kitti-garg", (153, 370, 44, 1196)),
        ("kitti-eigen", (124, 341, 44, 1196)),
        ("none", (0, 374, 0, 1241)),
    ],
)
def test_kitti(crop, want):
    assert kept(crop, 1242, 375) == want


def test_named_protocols():
    found = {name: (one.crop, one.min_depth_m, one.max_depth_m) for name, one in PROTOCOLS.items()}
    assert found == {
        "default": ("none", 1e-3, 80.0),
        "nyu": ("nyu-eigen", 1e-3, 10.0),
        "kitti": ("kitti-garg", 1e-3, 80.0),
        "kitti-eigen": ("kitti-eigen", 1e-3, 80.0),
    }
    assert all(one.name == name for name, one in PROTOCOLS.items())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"crop": "middle"}, "crop must be one of none, nyu-eigen, kitti-garg, kitti-eigen, got 'middle'"),
        ({"min_depth_m": 0}, "near before far"),
        ({"min_depth_m": 5, "max_depth_m": 5}, "near before far"),
        ({"max_depth_m": float("inf")}, "near before far"),
        ({"max_depth_m": float("nan")}, "near before far"),
    ],
)
def test_protocols_that_are_none(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        EvaluationProtocol(**wrong)
