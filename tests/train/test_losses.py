"""Losses equal slow references in float64, ignore what they promise to ignore, and have true gradients."""

import math

import numpy as np
import pytest
import torch

from depth3d.train.losses import gradient_matching_loss, normalised, silog_loss, ssi_loss


def maps(seed=0, shape=(3, 12, 14), share_known=0.8, dtype=torch.float64):
    """A prediction, a target, and which pixels are known; both above 0.5."""
    rng = np.random.default_rng(seed)
    prediction, target = (torch.from_numpy(rng.uniform(0.5, 6.0, shape)).to(dtype) for _ in range(2))
    return prediction, target, torch.from_numpy(rng.random(shape) < share_known)


def swapped(target, known, share, seed=1):
    """Move the values of a share of each image's known pixels in a circle: median and spread stay."""
    moved = target.clone()
    rng = np.random.default_rng(seed)
    for image, mask in zip(moved, known, strict=True):
        places = torch.nonzero(mask.flatten())[:, 0].numpy()
        places = torch.from_numpy(rng.permutation(places)[: math.floor(share * len(places))])
        image.view(-1)[places] = image.view(-1)[places].roll(1)
    return moved


def slow_normalised(image, known):
    values = sorted(image[known].tolist())
    middle = values[(len(values) - 1) // 2]
    spread = sum(abs(v - middle) for v in values) / len(values)
    return np.where(known, (image - middle) / spread, 0.0)


def slow_ssi(prediction, target, known, trim, exact=None):
    losses = []
    exact = torch.zeros_like(known) if exact is None else exact
    for p, t, k, e in zip(*(x.numpy() for x in (prediction, target, known, exact)), strict=True):
        apart = np.abs(slow_normalised(p, k) - slow_normalised(t, k))
        kept = sorted(apart[k & ~e].tolist())[: math.ceil((k & ~e).sum() * (1 - trim))]
        kept += apart[k & e].tolist()
        losses.append(sum(kept) / len(kept))
    return sum(losses) / len(losses)


def slow_gradient(prediction, target, known, matched, scales):
    total = 0.0
    for scale in scales:
        apart, count = 0.0, 0
        for p, t, k, m in zip(*(x.numpy() for x in (prediction, target, known, matched)), strict=True):
            residual = slow_normalised(p, k) - slow_normalised(t, k)
            good = k & m
            step = 2**scale
            rows, columns = range(0, p.shape[0], step), range(0, p.shape[1], step)
            for y in rows:
                for x in columns:
                    count += int(good[y, x])
                    for b, a in ((y + step, x), (y, x + step)):
                        if b in rows and a in columns and good[y, x] and good[b, a]:
                            apart += abs(residual[b, a] - residual[y, x])
        total += apart / count
    return total


@pytest.mark.parametrize("seed", range(4))
def test_normalised_maps_have_median_0_and_mean_deviation_1(seed):
    disparity, _, known = maps(seed)
    got = normalised(disparity, known)
    for image, mask, raw in zip(got, known, disparity, strict=True):
        np.testing.assert_allclose(image, slow_normalised(raw.numpy(), mask.numpy()), rtol=1e-12, atol=1e-12)
        assert image[mask].median() == 0
        assert image[mask].abs().mean() == pytest.approx(1, rel=1e-12)
        assert not image[~mask].any()


@pytest.mark.parametrize("trim", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_ssi_is_the_slow_one(seed, trim):
    given = maps(seed)
    assert float(ssi_loss(*given, trim=trim)) == pytest.approx(slow_ssi(*given, trim), rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_exact_pixels_are_never_trimmed(share):
    given = maps(4)
    exact = torch.from_numpy(np.random.default_rng(4).random(given[2].shape) < share)
    assert float(ssi_loss(*given, trim=0.2, exact=exact)) == pytest.approx(
        slow_ssi(*given, 0.2, exact), rel=1e-12
    )


@pytest.mark.parametrize("scales", [(0,), (2, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_gradient_matching_is_the_slow_one(seed, scales):
    prediction, target, known = maps(seed)
    matched = torch.from_numpy(np.random.default_rng(seed + 9).random(known.shape) < 0.7)
    got = gradient_matching_loss(prediction, target, known, matched=matched, scales=scales)
    assert float(got) == pytest.approx(slow_gradient(prediction, target, known, matched, scales), rel=1e-12)
    everywhere = gradient_matching_loss(prediction, target, known, scales=scales)
    assert float(everywhere) == pytest.approx(
        slow_gradient(prediction, target, known, known, scales), rel=1e-12
    )


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.02, -7.0), (350.0, 12.0)])
def test_scale_and_shift_of_either_map_do_not_matter(scale, shift):
    prediction, target, known = maps(5)
    for loss in (ssi_loss, gradient_matching_loss):
        want = float(loss(prediction, target, known))
        assert float(loss(scale * prediction + shift, target, known)) == pytest.approx(want, rel=1e-9)
        assert float(loss(prediction, scale * target + shift, known)) == pytest.approx(want, rel=1e-9)
        assert float(loss(scale * target + shift, target, known)) == pytest.approx(0, abs=1e-12)
        assert float(loss(-target, target, known)) > 0.1


def test_the_trimmed_share_is_really_left_out():
    _, target, known = maps(2, (2, 20, 20))
    assert float(ssi_loss(swapped(target, known, 0.2), target, known, trim=0.2)) == pytest.approx(
        0, abs=1e-12
    )
    assert float(ssi_loss(swapped(target, known, 0.2), target, known, trim=0.0)) > 0.05
    assert float(ssi_loss(swapped(target, known, 0.3), target, known, trim=0.2)) > 0.01


@pytest.mark.parametrize("factor", [0.3, 1.0, 40.0])
@pytest.mark.parametrize("focus", [0.0, 0.5, 0.85, 1.0])
def test_silog_of_a_common_factor_has_a_closed_form(factor, focus):
    _, target, known = maps(3)
    got = float(silog_loss(factor * target, target, known, variance_focus=focus))
    assert got == pytest.approx(math.sqrt(1 - focus) * abs(math.log(factor)), rel=1e-6, abs=1.1e-6)


@pytest.mark.parametrize("focus", [0.0, 0.5, 1.0])
def test_silog_is_the_published_formula(focus):
    prediction, target, known = maps(4)
    g = np.log(prediction.numpy()[known.numpy()]) - np.log(target.numpy()[known.numpy()])
    want = math.sqrt(np.mean(g**2) - focus * np.mean(g) ** 2)
    got = float(silog_loss(prediction, target, known, variance_focus=focus))
    assert got == pytest.approx(want, rel=1e-9)


def test_silog_stays_finite_where_rounding_could_make_a_variance_negative():
    for seed in range(50):
        _, target, known = maps(seed, (1, 20, 30), dtype=torch.float32)
        prediction = (target * (50 + seed)).requires_grad_()
        loss = silog_loss(prediction, target, known, variance_focus=1.0)
        loss.backward()
        assert 0 <= float(loss.detach()) < 1e-4
        assert torch.isfinite(prediction.grad).all()


LOSSES = [ssi_loss, gradient_matching_loss, silog_loss]


@pytest.mark.parametrize("loss", LOSSES)
def test_unknown_pixels_give_no_gradient_and_do_not_count(loss):
    prediction, target, known = maps(6, dtype=torch.float32)
    values = []
    for filler in (math.nan, math.inf, -1e30, 0.0):
        variable = prediction.clone().requires_grad_()
        value = loss(variable, torch.where(known, target, filler), known)
        value.backward()
        assert torch.isfinite(variable.grad).all()
        assert not variable.grad[~known].any()
        assert variable.grad[known].any()
        values.append(float(value.detach()))
    assert len(set(values)) == 1
    elsewhere = torch.where(known, prediction, 1e4)
    assert float(loss(elsewhere, target, known)) == values[0]


@pytest.mark.parametrize("loss", LOSSES)
def test_where_nothing_is_known_the_loss_is_0(loss):
    prediction, target, known = maps(7)
    variable = prediction.clone().requires_grad_()
    value = loss(variable, target, torch.zeros_like(known))
    assert float(value.detach()) == 0
    value.backward()
    assert not variable.grad.any()


def test_an_image_without_known_pixels_does_not_dilute_the_others():
    prediction, target, known = maps(8, (2, 10, 10))
    known[1] = False
    alone = ssi_loss(prediction[:1], target[:1], known[:1])
    assert float(ssi_loss(prediction, target, known)) == pytest.approx(float(alone), rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_constant_maps_are_finite(loss):
    variable = torch.full((1, 6, 6), 2.0, requires_grad=True)
    value = loss(variable, torch.full((1, 6, 6), 3.0), torch.ones(1, 6, 6, dtype=torch.bool))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(variable.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(2))
def test_gradients_are_the_derivatives(loss, seed):
    prediction, target, known = maps(seed + 20, (2, 5, 6))
    assert torch.autograd.gradcheck(lambda p: loss(p, target, known), prediction.requires_grad_(), eps=1e-7)
