"""Parts of a mesh, counted."""

import numpy as np
import pytest
import trimesh

from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.scene import RGBD
from depth3d.lift.mesh_parts import count_parts
from depth3d.lift.solids import solid
from depth3d.synthetic import default_camera

SQUARE = [[0, 1, 2], [2, 1, 3]]


@pytest.mark.parametrize(
    ("faces", "parts"),
    [
        ([], 0),
        (SQUARE, 1),
        ([*SQUARE, [4, 5, 6]], 2),
        ([*SQUARE, [3, 5, 6]], 1),  # at a vertex
        ([[0, 1, 2], [4, 5, 6]], 2),  # vertex 3 is idle
    ],
)
def test_parts_of_small_meshes(faces, parts):
    vertices = np.random.default_rng(0).random((7, 3), dtype=np.float32)
    assert count_parts(Mesh(vertices, np.array(faces, np.int32).reshape(-1, 3))) == parts


def test_parts_of_a_solid_agree_with_trimesh():
    camera = default_camera(32, 24)
    z = np.full((24, 32), 2.0, np.float32)
    z[:, 9] = z[10:13, 20:] = z[:12, 20] = np.nan
    scene = RGBD(np.zeros((24, 32, 3), np.uint8), DepthMap(z, "metric"), camera)
    body = solid(scene, width_mm=50, min_island_px=0, paint="none")
    assert count_parts(body) == trimesh.Trimesh(body.vertices, body.faces, process=False).body_count == 3
