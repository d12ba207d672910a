"""Alignment and averaging of views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth3d.core.depth import DepthKind
from depth3d.errors import InputError
from depth3d.estimate.alignment import align_affine, aligned_error
from depth3d.estimate.tta import TTA_NAMES, View, average_fields, views_for

DRAW = torch.Generator().manual_seed(0)
A, B = torch.rand(6, 9, generator=DRAW), torch.rand(6, 9, generator=DRAW)


def test_alignment_is_least_squares() -> None:
    design = np.stack([A.numpy().ravel(), np.ones(A.numel())], 1)
    mixed = 0.8 * A + 0.3 * B
    solution, *_ = np.linalg.lstsq(design, mixed.numpy().ravel(), rcond=None)
    np.testing.assert_allclose(align_affine(A, mixed).numpy().ravel(), design @ solution, rtol=1e-5)


def test_alignment_undoes_any_scale_and_shift() -> None:
    torch.testing.assert_close(align_affine(37 * A - 4, A), A)
    assert aligned_error(0.01 * A + 9, A) < 1e-4


@pytest.mark.parametrize("useless", [torch.ones(6, 9), -A])
def test_alignment_to_what_runs_against_it_gives_the_mean(useless: torch.Tensor) -> None:
    torch.testing.assert_close(align_affine(useless, A), torch.full((6, 9), float(A.mean())))


def test_the_error_is_the_share_of_the_span() -> None:
    target = torch.tensor([0.0, 1.0, 2.0, 3.0])
    other = target + 0.3 * torch.tensor([1.0, -1.0, -1.0, 1.0])  # neither scale nor shift explains it
    rest = 1.25 * 0.09 / (1.25 + 0.09)  # var (1 - rho^2) of simple regression
    assert aligned_error(other, target) == pytest.approx(np.sqrt(rest) / 3)
    assert aligned_error(torch.tensor([0.0, np.nan]), torch.tensor([0.0, 1.0])) == np.inf


def test_views() -> None:
    assert views_for(None) == (View(),)
    assert [len(views_for(name)) for name in TTA_NAMES] == [2, 3, 6]
    assert all(views_for(name)[0] == View() for name in TTA_NAMES)
    with pytest.raises(InputError, match="one of flip, multiscale, flip"):
        views_for("rotate")
    with pytest.raises(InputError, match="use 'flip'"):
        views_for("multiscale", any_size=False)


def test_relative_views_are_aligned_and_metric_ones_are_not() -> None:
    views = (View(), View(flip=True))
    other = (5 * A + 2).flip(-1)
    torch.testing.assert_close(average_fields([A, other], views, DepthKind.RELATIVE), A)
    torch.testing.assert_close(average_fields([A, other], views, DepthKind.METRIC), (A + 5 * A + 2) / 2)


def test_views_of_other_sizes_come_to_the_first() -> None:
    v, u = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    plane = 1 + v / 40 + u / 60
    v2, u2 = torch.meshgrid(torch.arange(20) + 0.5, torch.arange(30) + 0.5, indexing="ij")
    smaller = 1 + v2 / 20 + u2 / 30
    mean = average_fields([plane, smaller], (View(), View(0.5)), DepthKind.METRIC)
    torch.testing.assert_close(mean[2:-2, 2:-2], plane[2:-2, 2:-2])
