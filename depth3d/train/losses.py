"""What training minimises: scale-and-shift-invariant loss, gradient matching and SiLog.

All take (n, h, w) predictions and targets, and a boolean mask of the pixels whose target is known. What
the target holds where it is not known does not matter, and no gradient comes from there. A batch in which
nothing is known gives a loss of 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["gradient_matching_loss", "normalised", "silog_loss", "ssi_loss"]

_LEAST_SPREAD = 1e-3
"""Floor of the spread that a map is divided by, so that a constant map stays finite."""


def normalised(disparity: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Remove scale and shift: subtract the median, divide by the mean absolute deviation from it.

    Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022, eq. 6, each image by itself.

    Args:
        disparity: (n, h, w), any scale and shift.
        known: (n, h, w) bool.

    Returns:
        (n, h, w), 0 where unknown.
    """
    flat = torch.where(known, disparity, torch.nan).flatten(1)
    middle = flat.nanmedian(dim=1).values.nan_to_num()[:, None, None]
    apart = torch.where(known, disparity - middle, 0.0)
    spread = apart.abs().sum((1, 2)) / known.sum((1, 2)).clamp(min=1)
    return apart / spread.clamp(min=_LEAST_SPREAD)[:, None, None]


def ssi_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    known: torch.Tensor,
    *,
    trim: float = 0.2,
    exact: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compare disparities up to the scale and shift of each image, without the worst pixels.

    The trimmed loss of Ranftl et al., eq. 7: the mean absolute residual of the normalised maps, from which
    the largest are left out. Pseudo-labels are wrong somewhere, and there the network should not follow.

    Args:
        prediction: (n, h, w) disparity.
        target: (n, h, w) disparity.
        known: (n, h, w) bool.
        trim: Share of the known pixels of each image, the ones with the largest residuals, left out;
            the published value is 0.2.
        exact: (n, h, w) bool: pixels that are never left out, as their target can't be wrong; the share
            is of the others.

    Returns:
        The mean over the kept pixels of each image, averaged over the images that have any.
    """
    residual = (normalised(prediction, known) - normalised(target, known)).abs()
    doubtful = known if exact is None else known & ~exact
    ordered = torch.where(doubtful, residual, torch.inf).flatten(1).sort(dim=1).values
    kept = (doubtful.sum((1, 2)) * (1 - trim)).ceil().long()
    worst_kept = ordered.gather(1, (kept[:, None] - 1).clamp(min=0))[:, :, None]
    keep = (known & ~doubtful) | (doubtful & (residual <= worst_kept))
    total = torch.where(keep, residual, 0.0).sum((1, 2))
    return (total / keep.sum((1, 2)).clamp(min=1)).sum() / known.flatten(1).any(1).sum().clamp(min=1)


def gradient_matching_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    known: torch.Tensor,
    *,
    matched: torch.Tensor | None = None,
    scales: Sequence[int] = (0, 1, 2, 3),
) -> torch.Tensor:
    """Compare where disparity jumps, at several scales.

    Li and Snavely, "MegaDepth", CVPR 2018, eq. 3, on normalised disparity as in Ranftl et al., eq. 11:
    the absolute differences of the residual between neighbours, both known, on every 2^k-th pixel.

    Args:
        prediction: (n, h, w) disparity.
        target: (n, h, w) disparity.
        known: (n, h, w) bool: what scale and shift are taken from.
        matched: (n, h, w) bool: where gradients are compared, a part of `known`; None is all of it.
        scales: The exponents k.

    Returns:
        The sum over the scales of the mean over the known pixels of the batch.
    """
    residual = normalised(prediction, known) - normalised(target, known)
    where = known if matched is None else known & matched
    total = residual.new_zeros(())
    for scale in scales:
        step = 2**scale
        r, w = residual[:, ::step, ::step], where[:, ::step, ::step]
        across = ((r[:, :, 1:] - r[:, :, :-1]).abs() * (w[:, :, 1:] & w[:, :, :-1])).sum()
        down = ((r[:, 1:] - r[:, :-1]).abs() * (w[:, 1:] & w[:, :-1])).sum()
        total = total + (across + down) / w.sum().clamp(min=1)
    return total


def silog_loss(
    prediction: torch.Tensor, target: torch.Tensor, known: torch.Tensor, *, variance_focus: float = 0.5
) -> torch.Tensor:
    """Compare metric depths by their logarithms.

    Eigen et al., NeurIPS 2014, eq. 4, with the square root as Depth Anything V2 takes it:
    sqrt(mean(g^2) - lambda mean(g)^2), g = log prediction - log target, over the batch.

    Args:
        prediction: (n, h, w) depth in metres, above 0.
        target: (n, h, w) depth in metres, above 0 where known.
        known: (n, h, w) bool.
        variance_focus: lambda: 0 counts a common factor in full, 1 not at all.

    Returns:
        The loss.
    """
    if not bool(known.any()):
        return prediction.sum() * 0.0
    g = torch.log(prediction[known].clamp(min=1e-6)) - torch.log(target[known])
    # Written with the variance, which rounding can't make negative. The derivative of the root is infinite
    # at 0, where a perfect prediction arrives.
    return torch.sqrt(g.var(correction=0) + (1 - variance_focus) * g.mean().square() + 1e-12)
