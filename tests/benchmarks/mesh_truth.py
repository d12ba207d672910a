"""What is true of a synthetic scene between the pixels of a picture, and how meshes are measured by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.camera import Camera
from depth3d.synthetic.scene import Scene, distance_to_surface

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Faces = npt.NDArray[np.int32]

FAR_M = 10.0
"""Areas are those of what is nearer: that of a floor up to the horizon has no end."""


@dataclass(frozen=True)
class Truth:
    """A scene at the pixels of a camera: depth, and where neighbours lie on either side of a step.

    `across[r, c]` is the step in inverse depth, as a share of it, that the surface really makes between
    pixel (r, c) and the one to its right, 0 where it goes on; `along` to the one below; infinite where one
    of the two is unknown.
    """

    scene: Scene
    camera: Camera
    z: Array
    across: Array
    along: Array

    @classmethod
    def of(cls, scene: Scene, camera: Camera) -> Truth:
        v, u = np.mgrid[: camera.height, : camera.width] + 0.5
        z = depth_at(scene, camera, np.stack([u, v], axis=-1).reshape(-1, 2)).reshape(u.shape)
        steps = [_steps(scene, camera, z, axis) for axis in (1, 0)]
        return cls(scene, camera, z, *steps)

    def whole(self) -> Bools:
        """Squares of four pixels on one surface."""
        across, along = self.across == 0, self.along == 0
        return across[:-1] & across[1:] & along[:, :-1] & along[:, 1:]

    def faces(self) -> Faces:
        """Triangles that a perfect cut leaves, by the diagonal that leaves more."""
        top, bottom = self.across[:-1] == 0, self.across[1:] == 0
        left, right = self.along[:, :-1] == 0, self.along[:, 1:] == 0
        a = np.arange(self.z.size).reshape(self.z.shape)[:-1, :-1]
        b, c, d = a + 1, a + self.z.shape[1], a + self.z.shape[1] + 1
        falling, rising = (left & bottom, right & top), (top & left, bottom & right)
        falls = falling[0].astype(int) + falling[1] >= rising[0].astype(int) + rising[1]
        parts = [
            np.stack(corners, axis=-1)[chosen & exists]
            for corners, chosen, exists in (
                ((a, c, d), falls, falling[0]),
                ((d, b, a), falls, falling[1]),
                ((b, a, c), ~falls, rising[0]),
                ((c, d, b), ~falls, rising[1]),
            )
        ]
        return np.concatenate(parts).astype(np.int32)

    def steps(self, faces: Faces) -> Array:
        """The largest step of the surface along the sides of triangles of neighbouring pixels."""
        width, result = self.z.shape[1], np.zeros(len(faces))
        for i in range(3):
            first, second = np.sort(faces[:, [i, i - 1]], axis=1).T
            row, col = np.divmod(first, width)
            beside, below = second - first == 1, second - first == width
            for where, steps in ((beside, self.across), (below, self.along)):
                result[where] = np.maximum(result[where], steps[row[where], col[where]])
        return result

    def loss(self, faces: Faces) -> float:
        """Share of the whole squares' triangles that are missing."""
        width = self.z.shape[1]
        row, col = np.divmod(faces, width)
        square = row.min(axis=1) * width + col.min(axis=1)
        count = np.bincount(square, minlength=self.z.size).reshape(self.z.shape)[:-1, :-1]
        whole = self.whole()
        return 1 - np.minimum(count, 2)[whole].sum() / (2 * max(int(whole.sum()), 1))

    def area_m2(self, fine: int = 3) -> float:
        """Visible area nearer than `FAR_M`, within the centres of the outermost pixels."""
        width, height = self.camera.size_wh
        total = 0.0
        for offset in np.ndindex(fine, fine):
            v, u = (
                np.mgrid[: height - 1, : width - 1] + (0.5 + (np.array(offset) + 0.5) / fine)[:, None, None]
            )
            rays = self.camera.rays(np.stack([u, v], axis=-1).reshape(-1, 2)).T
            z, index = self.scene.first_hits(np.zeros((3, 1)), rays)
            for i, surface in enumerate(self.scene.surfaces):
                mine = (index == i) & (z < FAR_M)
                if mine.any():
                    normals = surface.normals(surface.to_shape(z[mine] * rays[:, mine]))
                    cosine = np.abs((normals * rays[:, mine]).sum(axis=0))
                    total += float((z[mine] ** 2 / np.maximum(cosine, 1e-6)).sum())
        return total / (fine**2 * self.camera.fx * self.camera.fy)

    def points(self, seed: int = 0) -> tuple[Array, Bools]:
        """Visible points of the surface, one at random in each known square, and which are in whole ones."""
        width, height = self.camera.size_wh
        v, u = np.mgrid[: height - 1, : width - 1] + np.random.default_rng(seed).uniform(
            0.5, 1.5, (2, height - 1, width - 1)
        )
        uv = np.stack([u, v], axis=-1).reshape(-1, 2)
        z, whole = depth_at(self.scene, self.camera, uv), self.whole().reshape(-1)
        four = ~np.isnan(self.z)
        known = (four[1:, 1:] & four[1:, :-1] & four[:-1, 1:] & four[:-1, :-1]).reshape(-1) & ~np.isnan(z)
        return z[known, None] * self.camera.rays(uv[known]), whole[known]


def depth_at(scene: Scene, camera: Camera, uv_px: Array) -> Array:
    """Exact z at places in the picture, NaN where there is nothing."""
    z, _ = scene.first_hits(np.zeros((3, 1)), np.ascontiguousarray(camera.rays(uv_px).T))
    return np.where(np.isfinite(z), z, np.nan)


def _steps(scene: Scene, camera: Camera, z: Array, axis: int) -> Array:
    """Find steps by halving the way from pixel to pixel, towards the larger change, until it is one."""
    q = np.nan_to_num(1 / z)
    first = np.take(q, range(q.shape[axis] - 1), axis=axis)
    second = np.take(q, range(1, q.shape[axis]), axis=axis)
    steps = np.where((first > 0) & (second > 0), 0.0, np.inf)
    rows, cols = np.nonzero((steps == 0) & (np.abs(second - first) > 0.002 * np.maximum(first, second)))
    start = np.stack([cols + 0.5, rows + 0.5], axis=1)
    way = np.array([1.0, 0.0]) if axis == 1 else np.array([0.0, 1.0])

    def q_at(share: Array) -> Array:
        return np.nan_to_num(1 / depth_at(scene, camera, start + share[:, None] * way))

    pieces = 16
    values = np.stack([q_at(np.full(len(rows), i / pieces)) for i in range(pieces + 1)])
    widest = np.abs(np.diff(values, axis=0)).argmax(axis=0)
    low, at = widest / pieces, np.arange(len(rows))
    q_low, q_high = values[widest, at], values[widest + 1, at]
    for halving in range(1, 21):
        middle = low + 0.5**halving / pieces
        q_middle = q_at(middle)
        up = np.abs(q_high - q_middle) > np.abs(q_middle - q_low)
        low = np.where(up, middle, low)
        q_low, q_high = np.where(up, q_middle, q_low), np.where(up, q_high, q_middle)
    step = np.abs(q_high - q_low) / np.maximum(np.maximum(q_high, q_low), 1e-12)
    steps[rows, cols] = np.where(step > 1e-3, step, 0)
    return steps


def corners_of(vertices: Array, faces: Faces) -> Array:
    return np.asarray(vertices, dtype=np.float64)[faces]


def area_m2(corners: Array) -> Array:
    a, b, c = corners.transpose(1, 0, 2)
    return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))


def off_surface(truth: Truth, corners: Array) -> tuple[Array, Array]:
    """Distance from the true surface as a share of z: the largest on each triangle, and of all samples.

    Middles, middles of sides, corners, and points at random, one for each pixel that a triangle covers.
    """
    fixed = [np.eye(3)[i] for i in range(3)]
    fixed += [np.array(w) for w in ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0), (0, 0.5, 0.5), (0.5, 0, 0.5))]
    worst, samples = np.zeros(len(corners)), []
    for weight in fixed:
        off = _share_off(truth.scene, np.einsum("c,fck->fk", weight, corners))
        np.maximum(worst, off, out=worst)
    seen = corners[..., :2] / corners[..., 2:] * [truth.camera.fx, truth.camera.fy]
    ab, ac = seen[:, 1] - seen[:, 0], seen[:, 2] - seen[:, 0]
    count = np.ceil(np.abs(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]) / 2).astype(int)
    draw, which = np.random.default_rng(0), np.repeat(np.arange(len(corners)), np.maximum(count, 1))
    root, share = np.sqrt(draw.random(len(which))), draw.random(len(which))
    weights = np.stack([1 - root, root * (1 - share), root * share], axis=1)
    off = _share_off(truth.scene, np.einsum("nc,nck->nk", weights, corners[which]))
    np.maximum.at(worst, which, off)
    samples.append(off)
    return worst, np.concatenate(samples)


def _share_off(scene: Scene, points: Array) -> Array:
    return distance_to_surface(scene, points) / points[:, 2]


def from_truth(truth: Truth, vertices: Array, faces: Faces) -> dict[str, float]:
    """Distance of true visible points from the mesh, as a share of z: the other half of Hausdorff's."""
    import open3d as o3d

    rays = o3d.t.geometry.RaycastingScene()
    rays.add_triangles(np.asarray(vertices, np.float32), np.asarray(faces, np.uint32))
    points, whole = truth.points()
    off = rays.compute_distance(np.asarray(points, np.float32)).numpy() / points[:, 2]
    return {"mean": float(off.mean()), "max": float(off.max()), "max_inside": float(off[whole].max())}


def topology(faces: Faces) -> dict[str, int]:
    """Euler characteristic and number of connected parts."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    used, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(len(used), len(used)))
    return {
        "euler": len(used) - len(edges) + len(faces),
        "parts": int(connected_components(graph, directed=False)[0]),
    }
