"""`count_parts`: into how many parts a mesh falls."""

from __future__ import annotations

import numpy as np

from depth3d.core.mesh import Mesh

__all__ = ["count_parts"]


def count_parts(mesh: Mesh) -> int:
    """Count the parts of a mesh that don't hang together: no triangle of one shares a vertex with another's.

    Args:
        mesh: Any mesh. Vertices count as different even at the same place; those of no triangle count not.

    Returns:
        How many; 0 for a mesh without triangles.
    """
    if not len(mesh.faces):
        return 0
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    a, b, c = mesh.faces.T
    joined = (np.ones(2 * len(a), dtype=np.bool_), (np.concatenate([a, b]), np.concatenate([b, c])))
    size = len(mesh.vertices)
    _, part_of = connected_components(coo_matrix(joined, shape=(size, size)), directed=False)
    return len(np.unique(part_of[a]))
