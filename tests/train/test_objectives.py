"""What a step minimises: exact samples to the pixel, others without their worst and finest."""

import numpy as np
import pytest
import torch

from depth3d.train.loop import Batch, metric_objective, relative_objective
from depth3d.train.losses import gradient_matching_loss, silog_loss, ssi_loss

FLAT = {"invariant": 0.0, "gradient": 0.0}


def batch(target, exact):
    exact = torch.as_tensor(exact).expand(target.shape)
    return Batch(torch.zeros(target.shape[0], 3, *target.shape[1:]), target, exact)


def targets(n=2, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(1, 5, (n, 32, 32)))


def wrong_off_the_grid(target, step, share):
    """Mix the values of some pixels that lie on no `step`-th row and column: median and spread stay."""
    moved = target.clone()
    rows, columns = np.nonzero((np.add.outer(np.arange(32) % step, np.arange(32) % step)) > 0)
    chosen = np.random.default_rng(3).permutation(len(rows))[: int(share * target[0].numel())]
    for image in moved:
        image[rows[chosen], columns[chosen]] = image[rows[chosen], columns[chosen]].roll(1)
    return moved


def values(losses):
    return {name: float(loss) for name, loss in losses.items()}


def test_affine_copies_cost_nothing():
    target = targets()
    for exact in (True, False):
        assert values(relative_objective()(3 * target - 2, batch(target, exact))) == pytest.approx(
            FLAT, abs=1e-12
        )


def test_pseudo_labels_forgive_a_fifth_and_edges_finer_than_four_pixels():
    target = targets()
    prediction = wrong_off_the_grid(target, 4, 0.19)
    assert values(relative_objective()(prediction, batch(target, False))) == pytest.approx(FLAT, abs=1e-12)
    strict = values(relative_objective()(prediction, batch(target, True)))
    assert strict["invariant"] > 0.02
    assert strict["gradient"] > 0.2
    assert values(relative_objective(trim=0.1)(prediction, batch(target, False)))["invariant"] > 0.001


def test_exact_samples_get_both_losses_in_full_and_unknown_pixels_none():
    target, prediction = targets(), targets(seed=1)
    target[:, 5:9] = torch.nan
    known = torch.isfinite(target)
    filled = target.nan_to_num()
    got = values(relative_objective(gradient_weight=2.0)(prediction, batch(target, True)))
    assert got["invariant"] == pytest.approx(float(ssi_loss(prediction, filled, known, trim=0.0)), rel=1e-6)
    assert got["gradient"] == pytest.approx(
        2 * float(gradient_matching_loss(prediction, filled, known)), rel=1e-6
    )


def test_every_sample_of_a_mixed_batch_weighs_the_same():
    target, prediction = targets(4), targets(4, seed=1)
    exact = torch.tensor([True, False, False, False])[:, None, None]
    known = torch.ones_like(target, dtype=torch.bool)
    got = float(relative_objective()(prediction, batch(target, exact))["invariant"])
    each = [
        float(ssi_loss(prediction[i : i + 1], target[i : i + 1], known[i : i + 1], trim=trim))
        for i, trim in enumerate((0.0, 0.2, 0.2, 0.2))
    ]
    assert got == pytest.approx(np.mean(each), rel=1e-6)


def test_the_metric_objective_is_silog_on_what_is_known():
    target, prediction = targets(), targets(seed=1)
    target[:, :7] = torch.nan
    got = values(metric_objective()(prediction, batch(target, False)))
    want = silog_loss(prediction[:, 7:], target[:, 7:], torch.ones(2, 25, 32, dtype=torch.bool))
    assert got == pytest.approx({"silog": float(want)}, rel=1e-12)
