"""Errors after affine alignment, against closed forms."""

from __future__ import annotations

import pytest
import torch

from depth3d.estimate.alignment import align_affine, aligned_abs_rel, aligned_error

RAMP = torch.linspace(1, 3, 201)


def _off() -> torch.Tensor:
    """A pattern that no scale and shift takes away from the ramp: orthogonal to it and to constants."""
    signs = torch.where(torch.arange(201) % 2 == 0, 1.0, -1.0)
    pattern = signs.double() - signs.double().mean()
    centred = RAMP.double() - RAMP.double().mean()
    return (pattern - centred * (pattern @ centred) / (centred @ centred)).float()


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (7.0, -3.0), (0.01, 100.0)])
def test_scale_and_shift_do_not_count(scale: float, shift: float) -> None:
    field = scale * (RAMP + 0.05 * _off()) + shift
    assert aligned_error(field, RAMP) == pytest.approx(
        0.05 * float(_off().square().mean().sqrt()) / 2, rel=1e-2
    )
    expected = float((0.05 * _off().abs() / RAMP).mean())
    assert aligned_abs_rel(field, RAMP) == pytest.approx(expected, rel=1e-2)


def test_what_is_equal_is_not_off() -> None:
    assert aligned_abs_rel(RAMP, RAMP) == pytest.approx(0, abs=1e-7)
    torch.testing.assert_close(align_affine(2 * RAMP - 1, RAMP), RAMP)


def test_the_farthest_hundredth_does_not_count() -> None:
    """Relative to a disparity of almost nothing any error is large."""
    target = torch.cat([RAMP, torch.full((50,), 1e-6)])
    field = target + torch.cat([torch.zeros(201), 1e-3 * (-1.0) ** torch.arange(50)])
    assert aligned_abs_rel(field, target) < 1e-4
    assert float(((align_affine(field, target) - target).abs() / target).mean()) > 1


def test_what_is_not_finite_is_infinitely_off() -> None:
    field = RAMP.clone()
    field[3] = torch.nan
    assert aligned_abs_rel(field, RAMP) == aligned_error(field, RAMP) == float("inf")
