"""Affine alignment: relative maps are only known up to a scale and a shift."""

from __future__ import annotations

import torch

__all__ = ["align_affine", "aligned_abs_rel", "aligned_error"]

_LEAST_SHARE = 0.01
"""Of the largest value: errors relative to less than this say nothing."""


def align_affine(field: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Bring a field as close to another as a scale and a shift can.

    Args:
        field: Any shape, float32.
        target: The same shape.

    Returns:
        `s * field + t` with the least squares s and t in closed form, s = cov / var. A field that is
        constant, or that runs against the target, says nothing about it: the target's mean comes back.
    """
    wide = _widest(field.device)
    a, b = field.to(wide), target.to(wide)
    mean_a, mean_b = a.mean(), b.mean()
    centred = a - mean_a
    scale = (centred * (b - mean_b)).mean() / centred.square().mean().clamp_min(1e-30)
    return (mean_b + scale.clamp_min(0) * centred).to(target.dtype)


def aligned_error(field: torch.Tensor, target: torch.Tensor) -> float:
    """Measure how far a field is from another after alignment.

    Args:
        field: Any shape, float32.
        target: The same shape.

    Returns:
        The root mean square of what is left, as a share of the target's span (largest less smallest
        value); infinity where the field is not finite.
    """
    if not bool(torch.isfinite(field).all()):
        return float("inf")
    wide = _widest(field.device)
    rest = align_affine(field, target).to(wide) - target.to(wide)
    span = float(target.max() - target.min())
    return float(rest.square().mean().sqrt()) / span if span > 0 else 0.0


def aligned_abs_rel(field: torch.Tensor, target: torch.Tensor) -> float:
    """Measure how far a field is from another after alignment, relative to the other's values.

    Args:
        field: Any shape, float32.
        target: The same shape; disparity or metres.

    Returns:
        AbsRel, the mean of |field - target| / target after alignment, where the target is at least a
        hundredth of its largest value; infinity where the field is not finite.
    """
    if not bool(torch.isfinite(field).all()):
        return float("inf")
    wide = _widest(field.device)
    exact = target.to(wide)
    counted = exact >= _LEAST_SHARE * exact.max()
    rest = (align_affine(field, target).to(wide) - exact).abs()
    return float((rest[counted] / exact[counted].clamp_min(1e-30)).mean())


def _widest(device: torch.device) -> torch.dtype:
    """Give the longest floating-point format of a device; MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64
