"""From the network's size to the image's: bilinear, or guided by the photo.

Bilinear with half-pixel centres, clamped at the border, never overshoots. Bicubic, which `transformers`
uses, turns a clean step from 0.02 to 5 into values from -0.5 to 5.6: halos at every silhouette.
"""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from depth3d.accel.transfers import uploaded
from depth3d.core.arrays import FloatMap, ImageArray

__all__ = ["upsample", "upsample_guided"]

_RADIUS_PX = 5
"""How far a silhouette looks for its own side, in pixels of the network's map; odd, in steps of two."""

_COLOR_SIGMA = 0.1
"""Deviation of colours in 0..1 that are still taken for one surface: 25 levels of 255."""

_BENDS = (0.01, 0.03)
"""Departure from a local plane, as a share of the map's span: below the first a pixel is left alone, from
the second on it is fully refined."""

_CHUNK_PX = 1 << 19
"""Silhouette pixels worked on at a time, which bounds the memory."""

_LONGEST_OF_OPENCV = 1 << 15
"""Pixels of a side."""

_BAND_PX = 1 << 23
"""Pixels among which silhouettes are looked for at a time, for the same reason."""


def upsample(field: torch.Tensor, size_hw: tuple[int, int], into: FloatMap | None = None) -> torch.Tensor:
    """Resize a field bilinearly with half-pixel centres.

    Args:
        field: (h, w) float32 disparity or inverse depth.
        size_hw: (height, width) in pixels wanted.
        into: (height, width) memory that may be used for the result.

    Returns:
        (height, width) float32, within the span of `field`; that may be in `into`, or be `field` itself.
    """
    if tuple(field.shape) == tuple(size_hw):
        return field
    plain = field.device.type == "cpu" and field.dtype == torch.float32 and not field.requires_grad
    if plain and max(*field.shape, *size_hw) < _LONGEST_OF_OPENCV:
        import cv2

        # The same weights in a sixth of the time, off by 1e-7 of the span where PyTorch is by 5e-5.
        rows = field.contiguous().numpy()
        resized = cv2.resize(rows, size_hw[::-1], dst=into, interpolation=cv2.INTER_LINEAR)
        return torch.from_numpy(resized)
    return interpolate(field[None, None], size_hw, mode="bilinear", align_corners=False)[0, 0]


def upsample_guided(field: torch.Tensor, image: ImageArray) -> torch.Tensor:
    """Resize a field so that its silhouettes follow the edges of the photo.

    Joint bilateral upsampling (Kopf et al., SIGGRAPH 2007): a pixel takes the weighted mean of the
    network's values around it, and a value weighs more the nearer it is, the more its colour is that of
    the pixel, and the flatter the field is there, so that what the network blurred across a silhouette
    does not vote. Only pixels where the field is not locally a plane take part. Everything else, floors
    and walls with all their texture, is exactly the bilinear result. A GPU is waited for: where those pixels
    are decides what it is told next.

    Args:
        field: (h, w) float32 disparity or inverse depth.
        image: (H, W, 3) uint8 photo.

    Returns:
        (H, W) float32 on the device of `field`, within the span of `field`.
    """
    if field.device.type == "mps":  # which has not always had all that this needs
        return upsample_guided(field.cpu(), image).to(field.device)
    size_hw = (image.shape[0], image.shape[1])
    result = upsample(field, size_hw)
    if result is field:
        result = field.clone()
    span = field.max() - field.min()
    if min(field.shape) < 3 or not bool(span > 0):
        return result
    pixels = uploaded(image, field.device)
    # One colour at a time: of a photo of 200 megapixels each takes 0.8 GB as floats.
    guide = [_shrunk(pixels[..., color], field.shape) for color in range(3)]
    share = upsample(_bend(field) / span, size_hw)
    trust = 1 / (_steepness(field).square() + (1e-3 * span).square())
    # One row of numbers a cell: a single look-up brings all that is known of it.
    cells = torch.stack([*guide, field, trust], -1)
    rows_at_once = max(1, _BAND_PX // size_hw[1])
    for top in range(0, size_hw[0], rows_at_once):
        band = (share[top : top + rows_at_once] - _BENDS[0]) / (_BENDS[1] - _BENDS[0])
        band = band.clamp_(0, 1).flatten()
        touched = torch.nonzero(band).flatten()
        for start in range(0, len(touched), _CHUNK_PX):
            chunk = touched[start : start + _CHUNK_PX]
            rows, columns = chunk // size_hw[1] + top, chunk % size_hw[1]
            refined = _same_side_mean(cells, pixels[rows, columns].float() / 255, rows, columns, size_hw)
            result[rows, columns] = torch.lerp(result[rows, columns], refined, band[chunk])
    return result


def _shrunk(plane: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Average one colour of the photo, (H, W) uint8, over the cells of a coarser grid; shares of 255."""
    shares = plane.float().div_(255)[None, None]
    return interpolate(shares, tuple(shape), mode="bilinear", antialias=True, align_corners=False)[0, 0]


def _same_side_mean(
    cells: torch.Tensor,
    colors: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    size_hw: tuple[int, int],
) -> torch.Tensor:
    """Average the field around image pixels over what looks like the same surface.

    Args:
        cells: (h, w, 5) the photo's colour, the field, and the weight of its value.
        colors: (n, 3) colours of the pixels.
        rows: (n,) their rows in the image.
        columns: (n,) their columns in the image.
        size_hw: (height, width) of the image in pixels.

    Returns:
        (n,) values.
    """
    height, width = cells.shape[:2]
    v = (rows + 0.5) * (height / size_hw[0]) - 0.5
    u = (columns + 0.5) * (width / size_hw[1]) - 0.5
    near_v, near_u = v.round().long(), u.round().long()
    flat = cells.flatten(0, 1)
    total = torch.zeros_like(v)
    weights = torch.zeros_like(v)
    for down in range(-_RADIUS_PX, _RADIUS_PX + 1, 2):
        y = (near_v + down).clamp_(0, height - 1)
        down_squared = (y - v).square_()
        for right in range(-_RADIUS_PX, _RADIUS_PX + 1, 2):
            x = (near_u + right).clamp_(0, width - 1)
            cell = flat.index_select(0, y * width + x)
            exponent = (cell[:, :3] - colors).square_().sum(1).mul_(-0.5 / _COLOR_SIGMA**2)
            exponent -= (down_squared + (x - u).square_()) * (2 / _RADIUS_PX**2)
            # The floor keeps a colour that nothing around has from dividing 0 by 0.
            weight = exponent.exp_().add_(1e-9).mul_(cell[:, 4])
            total += weight * cell[:, 3]
            weights += weight
    return total / weights


def _bend(field: torch.Tensor) -> torch.Tensor:
    """Measure how far a field departs from a plane around each pixel; (h, w), 0 on planes.

    The two-sided second difference over a few pixels, along rows and along columns, and of that the
    largest value nearby; along the border, where there is only one side, that of the nearest inner pixel.
    """
    found = torch.zeros_like(field)
    for reach in (1, 2, 4):
        for axis, size in enumerate(field.shape):
            if size > 2 * reach:
                middle = field.narrow(axis, reach, size - 2 * reach)
                before = field.narrow(axis, 0, size - 2 * reach)
                after = field.narrow(axis, 2 * reach, size - 2 * reach)
                inner = found.narrow(axis, reach, size - 2 * reach)
                torch.maximum(inner, (before - 2 * middle + after).abs(), out=inner)
    return max_pool2d(found[None, None], 2 * _RADIUS_PX + 1, 1, _RADIUS_PX)[0, 0]


def _steepness(field: torch.Tensor) -> torch.Tensor:
    """Measure the local range of a field, (h, w), averaged over 3 x 3 pixels."""
    padded = field[None, None]
    span = max_pool2d(padded, 3, 1, 1) + max_pool2d(-padded, 3, 1, 1)
    return avg_pool2d(span, 3, 1, 1, count_include_pad=False)[0, 0]
