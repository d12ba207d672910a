"""`as_pose` lets rotations with translations through, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.poses import as_pose
from depth3d.errors import InputError

QUARTER_TURN = np.array([[0.0, -1, 0, 4], [1, 0, 0, 5], [0, 0, 1, 6], [0, 0, 0, 1]])


def test_none_is_the_identity():
    np.testing.assert_array_equal(as_pose(None), np.eye(4))


@pytest.mark.parametrize("pose", [QUARTER_TURN, QUARTER_TURN.astype(np.float32), QUARTER_TURN.tolist()])
def test_a_rigid_transform_passes(pose):
    np.testing.assert_array_equal(as_pose(pose), QUARTER_TURN)


@pytest.mark.parametrize(
    ("pose", "got"),
    [
        (np.eye(3), r"shape \(3, 3\)"),
        (np.ones(4), r"shape \(4,\)"),
        (1.0, r"shape \(\)"),
        (2 * np.eye(4), r"\[\[2.0"),
        (np.diag([-1.0, 1, 1, 1]), r"\[\[-1.0"),  # a mirror
        (np.diag([1.0, 1, 1, 2]), r"\[\[1.0"),
        (np.full((4, 4), np.nan), r"\[\[nan"),
    ],
)
def test_anything_else_is_refused_under_its_name(pose, got):
    with pytest.raises(InputError, match=rf"T_a_b must be a rigid \(4, 4\) transform, got {got}.*; give"):
        as_pose(pose, "T_a_b")


@pytest.mark.parametrize("pose", ["north", [[1, 2], [3]], object()])
def test_what_is_no_array_is_refused(pose):
    with pytest.raises(InputError, match=r"T_world_camera must be a \(4, 4\) array of numbers, got"):
        as_pose(pose)
