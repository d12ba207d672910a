"""What others do to move the camera of one photo, on its exact 1/z, each as good as it gets.

`one_tap` is what quick scripts do, `march` what shaders do over a height field, `splat` what point renderers
do, `row_fill` what 2D-to-3D converters do along rows. `gather` is the least that layers should reach: a
second layer whose depth is peeled from the first, and whose colours are weighted means of the surface that
it belongs to, along the motion first.

Each takes the photo as (H, W, 3) uint8, 1/z as (H, W) float32, its camera and (4, 4) `T_world_camera`, and
gives the view as uint8 and the pixels that it had to make up after moving what it has (H, W) bool.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb

Pose = npt.NDArray[np.float64]
Found = tuple[ImageArray, BoolMap]
Method = Callable[[ImageArray, FloatMap, Camera, Pose], Found]

LEAST_WEIGHT = 0.25
"""Of a pixel on a corner that counts for the z-buffer."""


def moved(near: FloatMap, camera: Camera, pose: Pose) -> tuple[Any, Any, Any]:
    """Say where in the view each pixel goes, u and v (H, W), and its 1/z there."""
    points = (camera.pixel_rays() - near[..., None] * pose[:3, 3]) @ pose[:3, :3]
    depth = np.where(points[..., 2] > 1e-6, points[..., 2], np.nan)
    u = camera.fx * points[..., 0] / depth + camera.cx
    v = camera.fy * points[..., 1] / depth + camera.cy
    return u, v, near / depth


def step_of(near: FloatMap, camera: Camera, pose: Pose) -> float:
    """Tell how large a step in 1/z moves two pixels one pixel apart."""
    reach = camera.fx * float(np.linalg.norm(pose[:3, 3]))
    return 1.0 / max(reach, 1e-9)


def one_tap(image: ImageArray, near: FloatMap, camera: Camera, pose: Pose) -> Found:
    """Read each pixel of the view where it would be with the photo's depth at that pixel."""
    inverse = np.linalg.inv(pose)
    u, v, _ = moved(near, camera, inverse)
    return tap(image, u, v), np.zeros(near.shape, np.bool_)


def tap(image: ImageArray, u: Any, v: Any) -> ImageArray:
    """Sample bytes bilinearly, the border going on."""
    import cv2

    x, y = (np.nan_to_num(a - 0.5).astype(np.float32) for a in (u, v))
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def march(image: ImageArray, near: FloatMap, camera: Camera, pose: Pose) -> Found:
    """Go along each ray from near to far, half a pixel a step, until it is under the height field."""
    import cv2

    rays = camera.pixel_rays() @ pose[:3, :3].T
    _, _, there = moved(near, camera, pose)
    most = float(np.nanmax(there)) * 1.02

    def at(w: Any) -> tuple[Any, Any, Any]:
        """Where the point at 1/z = w of the view is in the photo, and how far it is under the surface."""
        points = rays + np.asarray(w)[..., None] * pose[:3, 3]
        depth = np.maximum(points[..., 2], 1e-6)
        u = (camera.fx * points[..., 0] / depth + camera.cx).astype(np.float32)
        v = (camera.fy * points[..., 1] / depth + camera.cy).astype(np.float32)
        height = cv2.remap(near, u - 0.5, v - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return u, v, height - w / depth

    ends = [at(np.full(near.shape, w))[:2] for w in (0.0, most)]
    way = np.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1])
    steps = max(8, math.ceil(2 * float(np.quantile(way, 0.999))))
    found = np.zeros(near.shape)
    looking = np.ones(near.shape, np.bool_)
    before_w, before = most, np.full(near.shape, -1e-9)
    for w in np.linspace(most, 0, steps + 1):
        *_, under = at(np.full(near.shape, w))
        hit = looking & (under >= 0)
        share = before[hit] / np.minimum(before[hit] - under[hit], -1e-12)
        found[hit] = before_w + np.clip(share, 0, 1) * (w - before_w)
        looking &= ~hit
        before_w, before = w, np.minimum(under, -1e-12)
    u, v, _ = at(found)
    return tap(image, u, v), np.zeros(near.shape, np.bool_)


def splatted(
    light: Any, u: Any, v: Any, there: Any, size_wh: tuple[int, int], step: float
) -> tuple[FloatMap, FloatMap, FloatMap]:
    """Spread points (N,) over the four nearest pixels, the nearest surface winning.

    Returns:
        Linear light (H, W, 3), the sum of weights (H, W), 1/z (H, W).
    """
    width, height = size_wh
    left, top = np.floor(u - 0.5), np.floor(v - 0.5)
    right_share, lower_share = u - 0.5 - left, v - 0.5 - top
    corners = []
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = left + dx, top + dy
            share = (right_share if dx else 1 - right_share) * (lower_share if dy else 1 - lower_share)
            inside = np.nonzero((x >= 0) & (x < width) & (y >= 0) & (y < height) & (share > 1e-4))[0]
            corners.append((inside, (y[inside] * width + x[inside]).astype(np.int64), share[inside]))
    nearest = np.zeros(width * height)
    for which, at, share in corners:
        counts = share > LEAST_WEIGHT
        np.maximum.at(nearest, at[counts], there[which[counts]])
    total, weight, depth = np.zeros((3, width * height)), np.zeros(width * height), np.zeros(width * height)
    for which, at, share in corners:
        front = there[which] >= nearest[at] - step / 2
        which, at, share = which[front], at[front], share[front]
        weight += np.bincount(at, share, width * height)
        depth += np.bincount(at, share * there[which], width * height)
        for k in range(3):
            total[k] += np.bincount(at, share * light[which, k], width * height)
    full = np.maximum(weight, 1e-9)
    picture = (total / full).T.reshape(height, width, 3).astype(np.float32)
    return picture, weight.reshape(height, width).astype(np.float32), (depth / full).reshape(height, width)


def finer(light: FloatMap, near: FloatMap, step: float, times: int) -> tuple[FloatMap, FloatMap]:
    """Upsample picture and 1/z, which stays sharp at its steps."""
    import cv2

    if times == 1:
        return light, near
    height, width = near.shape
    size = (times * width, times * height)
    smooth = cv2.resize(near, size, interpolation=cv2.INTER_LINEAR)
    hard = cv2.resize(near, size, interpolation=cv2.INTER_NEAREST)
    window = np.ones((3, 3), np.uint8)
    flat = cv2.dilate(near, window) - cv2.erode(near, window) < 2 * step
    flat = cv2.resize(flat.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return cv2.resize(light, size, interpolation=cv2.INTER_LINEAR), np.where(flat, smooth, hard)


def completed(picture: FloatMap, holes: BoolMap) -> ImageArray:
    """Inpaint holes with OpenCV."""
    import cv2

    return np.asarray(cv2.inpaint(to_srgb(picture), holes.astype(np.uint8), 3, cv2.INPAINT_TELEA))


def splat(
    image: ImageArray, near: FloatMap, camera: Camera, pose: Pose, *, times: int = 1, behind: Any = None
) -> Found:
    """Splat all pixels, and what is behind them, with a z-buffer; inpaint the holes."""
    import cv2

    step = step_of(near, camera, pose)
    large = camera.resized(times * camera.width, times * camera.height)
    points = []
    for light, depth, mask in [(to_linear(image), near, None), *([behind] if behind else [])]:
        light, depth = finer(light, depth, step, times)
        u, v, there = moved(depth, large, pose)
        keep = np.isfinite(u)
        if mask is not None:
            keep &= cv2.resize(mask.astype(np.uint8), large.size_wh, interpolation=cv2.INTER_NEAREST) > 0
        points.append([light[keep], u[keep], v[keep], there[keep]])
    joined = [np.concatenate(parts) for parts in zip(*points, strict=True)]
    picture, weight, _ = splatted(*joined, large.size_wh, step)
    picture[weight < 1e-3] = 0
    covered = (weight >= 1e-3).astype(np.float32)
    share = cv2.resize(covered, camera.size_wh, interpolation=cv2.INTER_AREA)
    small = cv2.resize(picture, camera.size_wh, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(share, 1e-6)[..., None]
    holes = share < 0.5
    return completed(small, holes), holes


def splat_fine(image: ImageArray, near: FloatMap, camera: Camera, pose: Pose) -> Found:
    """Splat at twice the size."""
    return splat(image, near, camera, pose, times=2)


def row_fill(image: ImageArray, near: FloatMap, camera: Camera, pose: Pose) -> Found:
    """Move rows (or columns) and fill each hole from its farther end; for motions along one axis only."""
    if abs(pose[1, 3]) > 1e-9:
        flipped = Camera(camera.fy, camera.fx, camera.cy, camera.cx, camera.height, camera.width)
        turned = np.eye(4)
        turned[:2, 3] = pose[1, 3], pose[0, 3]
        found, holes = row_fill(image.transpose(1, 0, 2), near.T, flipped, turned)
        return np.ascontiguousarray(found.transpose(1, 0, 2)), np.ascontiguousarray(holes.T)
    u, v, there = moved(near, camera, pose)
    step = step_of(near, camera, pose)
    light = to_linear(np.ascontiguousarray(image)).reshape(-1, 3)
    picture, weight, depth = splatted(light, u.ravel(), v.ravel(), there.ravel(), camera.size_wh, step)
    holes = weight < 1e-3
    columns = np.arange(camera.width)
    before = np.maximum.accumulate(np.where(holes, -1, columns), axis=1)
    after = np.minimum.accumulate(np.where(holes, camera.width, columns)[:, ::-1], axis=1)[:, ::-1]
    rows = np.arange(camera.height)[:, None]
    left = np.where(before >= 0, depth[rows, np.maximum(before, 0)], np.inf)
    right = np.where(after < camera.width, depth[rows, np.minimum(after, camera.width - 1)], np.inf)
    source = np.clip(np.where(left <= right, before, after), 0, camera.width - 1)
    return to_srgb(np.where(holes[..., None], picture[rows, source], picture)), holes


def gather(image: ImageArray, near: FloatMap, camera: Camera, pose: Pose) -> Found:
    """Splat two layers at twice the size, the second filled from the surface that it belongs to."""
    step = step_of(near, camera, pose)
    _, _, _, reach = _motion(near, camera, pose)
    there, mask = peeled(near, step, math.ceil(reach) + 2)
    light = gathered(to_linear(image), near, there, mask, camera, pose, step)
    return splat(image, near, camera, pose, times=2, behind=(light, there, mask))


def _motion(near: FloatMap, camera: Camera, pose: Pose) -> tuple[Any, Any, Any, float]:
    """Give the direction of each pixel's parallax (x and y), its length for 1/z = 1, and the longest way."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    tx, ty, tz = pose[:3, 3]
    ex, ey = camera.fx * tx - tz * (x - camera.cx), camera.fy * ty - tz * (y - camera.cy)
    length = np.maximum(np.hypot(ex, ey), 1e-9)
    return ex / length, ey / length, length, float((length * near).max())


def peeled(near: FloatMap, step: float, reach: int) -> tuple[FloatMap, BoolMap]:
    """Carry the farther side of every step inwards under the nearer one: 1/z and where there is any."""
    there, mask = near.copy(), np.zeros(near.shape, np.bool_)
    offsets = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    for _ in range(reach):
        far = np.pad(there, 1, constant_values=np.inf)
        total, count = np.zeros(near.shape), np.zeros(near.shape)
        for dy, dx in offsets:
            other = far[1 + dy : 1 + dy + near.shape[0], 1 + dx : 1 + dx + near.shape[1]]
            lower = near - other > step
            total[lower] += other[lower]
            count[lower] += 1
        new = (count > 0) & ~mask
        if not new.any():
            break
        there[new] = (total[new] / count[new]).astype(np.float32)
        mask |= new
    return there, mask


def gathered(
    light: FloatMap, near: FloatMap, there: FloatMap, mask: BoolMap, camera: Camera, pose: Pose, step: float
) -> FloatMap:
    """Average colours of the same depth around each hidden pixel, those along its motion before others."""
    import cv2

    window = np.ones((3, 3), np.uint8)
    clean = cv2.dilate(near, window) - cv2.erode(near, window) < 2 * step
    ex, ey, _, reach = _motion(near, camera, pose)
    y, x = np.nonzero(mask)
    ex, ey, depth = ex[mask], ey[mask], there[mask]
    total, weights = np.zeros((len(y), 3)), np.zeros(len(y))
    longest = math.ceil(1.5 * reach) + 4
    along = np.unique(np.rint(np.concatenate([np.arange(12), np.geomspace(12, longest, 14)])))
    across = np.array([0, 1, 2, 4, 8, 16])
    for a in np.concatenate([-along[1:], along]):
        for b in np.concatenate([-across[1:], across]):
            if a == b == 0:
                continue
            col, row = np.rint(x + a * ex - b * ey).astype(int), np.rint(y + a * ey + b * ex).astype(int)
            inside = (col >= 0) & (col < camera.width) & (row >= 0) & (row < camera.height)
            col, row = np.clip(col, 0, camera.width - 1), np.clip(row, 0, camera.height - 1)
            same = inside & clean[row, col] & (np.abs(near[row, col] - depth) < step * 2)
            weight = same / ((16.0 * b) ** 2 + a * a)
            weights += weight
            total += weight[:, None] * light[row, col]
    filled = light.copy()
    known = weights > 0
    chosen = np.zeros(mask.shape, np.bool_)
    chosen[y[known], x[known]] = True
    filled[chosen] = total[known] / weights[known][:, None]
    left = mask & ~chosen
    if left.any():
        rough = completed(filled, left)
        filled[left] = to_linear(rough)[left]
    return filled


def snapped(near: FloatMap) -> FloatMap:
    """Push soft steps to the nearer of their two plateaus, twice."""
    import cv2

    out, window = near, np.ones((9, 9), np.uint8)
    least = 0.03 * float(near.max() - near.min())
    for _ in range(2):
        high, low = cv2.dilate(out, window), cv2.erode(out, window)
        closer = np.where(high - out < out - low, high, low)
        out = np.where(high - low > least, closer, out)
    return np.asarray(out, dtype=np.float32)


def dilated(near: FloatMap) -> FloatMap:
    """Make near things a pixel larger."""
    import cv2

    return np.asarray(cv2.dilate(near, np.ones((3, 3), np.uint8)))


def march_dilated(image: ImageArray, near: FloatMap, camera: Camera, pose: Pose) -> Found:
    """March over near things that are a pixel larger."""
    return march(image, dilated(near), camera, pose)


def row_fill_dilated(image: ImageArray, near: FloatMap, camera: Camera, pose: Pose) -> Found:
    """Move rows of near things that are a pixel larger."""
    return row_fill(image, dilated(near), camera, pose)


BASELINES: dict[str, Method] = {
    "one tap": one_tap,
    "march": march,
    "march, dilated": march_dilated,
    "splat": splat,
    "splat 2x": splat_fine,
}
ALONG_ROWS: dict[str, Method] = {"row fill": row_fill, "row fill, dilated": row_fill_dilated}
FLOOR = "gather"
ON_SOFT = ("one tap", "march", "splat")
"""Tried on soft depth as it is, too; all are tried on it with its edges snapped."""
