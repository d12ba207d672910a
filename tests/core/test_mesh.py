"""Meshes: arrays that belong together, and indices that exist."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.mesh import Mesh
from depth3d.errors import InputError

VERTICES = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1]], np.float32)
FACES = np.array([[0, 1, 2]])
UV = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
TEXTURE = np.zeros((2, 2, 3), np.uint8)


def test_arrays_are_typed_owned_and_locked():
    mesh = Mesh(VERTICES, FACES, UV, TEXTURE, np.zeros((3, 3), np.uint8), np.ones((3, 3)))
    assert mesh.faces.dtype == np.int32
    for name in ("vertices", "faces", "uv", "texture", "colors", "normals"):
        assert not getattr(mesh, name).flags.writeable, name
    assert not np.shares_memory(mesh.vertices, VERTICES)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"vertices": np.ones((3, 2))}, "vertices must have shape"),
        ({"vertices": VERTICES * np.nan}, "vertices must be finite"),
        ({"faces": [[0, 1, 3]]}, "index the 3 vertices, got indices 0..3"),
        ({"faces": [[-1, 1, 2]]}, "got indices -1..2"),
        ({"faces": [[0.0, 1.0, 2.0]]}, "faces must be int32, got float64"),
        ({"faces": [[0, 1, 2, 0]]}, "faces must have shape"),
        ({"texture": TEXTURE}, "needs uv coordinates"),
        ({"uv": UV[:2]}, r"uv must have shape \(3, 2\)"),
        ({"uv": UV, "texture": TEXTURE[..., 0]}, "texture must have shape"),
        ({"colors": np.zeros((2, 3), np.uint8)}, r"colors must have shape \(3, 3\)"),
    ],
)
def test_refusals(fields, says):
    with pytest.raises(InputError, match=says):
        Mesh(**{"vertices": VERTICES, "faces": FACES, **fields})


def test_a_mesh_may_be_empty():
    mesh = Mesh(np.empty((0, 3)), np.empty((0, 3), int))
    assert repr(mesh) == "Mesh(0 vertices, 0 faces)"


def test_repr():
    assert repr(Mesh(VERTICES, FACES, UV, TEXTURE)) == "Mesh(3 vertices, 1 faces, uv, texture)"
