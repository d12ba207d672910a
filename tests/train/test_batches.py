"""Batch k is a function of k and the seed, whoever makes it, and shares are kept."""

import numpy as np
import pytest
import torch

from depth3d.estimate.preprocess import InputRule
from depth3d.train.augment import Augmentation
from depth3d.train.batches import Mixture, Source, collated
from depth3d.train.samples import Sample

RULE = InputRule("exact", (16, 16), 1, (0.4, 0.5, 0.6), (0.2, 0.25, 0.5))
SIZES_HW = ((16, 24), (24, 16), (20, 20))


class Noise:
    """Thirty samples of noise; the target's whole part says which source and sample it is."""

    def __init__(self, name):
        self.name = name

    def __len__(self):
        return 30

    def load(self, index):
        rng = np.random.default_rng((self.name, index))
        image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        target = (100 * self.name + index + 0.5 * rng.random((30, 40))).astype(np.float32)
        return Sample(image, target, np.full((30, 40), self.name == 1))


def mixture(seed=0, batch_size=3, shares=(3.0, 1.0), change=None):
    sources = [Source(Noise(i + 1), share, change) for i, share in enumerate(shares)]
    return Mixture(sources, RULE, SIZES_HW, batch_size=batch_size, seed=seed)


def same(a, b):
    return all(torch.equal(x, y) for x, y in ((a.pixels, b.pixels), (a.target, b.target), (a.exact, b.exact)))


def test_a_batch_depends_on_its_number_and_the_seed_only():
    first, again, other = mixture(), mixture(), mixture(seed=1)
    order = [5, 0, 3]
    made = {k: first[k] for k in order}
    assert all(same(made[k], again[k]) for k in sorted(order))
    assert not same(made[0], made[3])
    assert not same(made[0], other[0])


def test_a_range_gives_the_batches_of_its_numbers():
    whole = list(mixture().over(range(6)))
    late = list(mixture().over(range(4, 6)))
    assert [same(a, b) for a, b in zip(whole[4:], late, strict=True)] == [True, True]
    assert list(mixture().over(range(6, 6))) == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 on threads of torch
def test_worker_processes_make_the_same_batches_in_the_same_order():
    alone, helped = (list(mixture().over(range(2, 9), workers=workers)) for workers in (0, 2))
    assert len(alone) == len(helped) == 7
    assert all(same(a, b) for a, b in zip(alone, helped, strict=True))


def test_sizes_and_sources_are_drawn_with_their_shares():
    batches = list(mixture(batch_size=4).over(range(150)))
    sizes = [tuple(batch.target.shape[1:]) for batch in batches]
    assert set(sizes) == set(SIZES_HW)
    assert min(sizes.count(size) for size in SIZES_HW) > 25
    names = torch.cat([batch.target[:, 0, 0] for batch in batches]) // 100
    # Of 600 draws, 450 are expected; five standard deviations are 53.
    assert abs(int((names == 1).sum()) - 450) < 53
    assert set(names.tolist()) == {1.0, 2.0}
    picked = torch.cat([batch.target[:, 0, 0] for batch in batches]).floor() % 100
    assert set(picked.tolist()) == set(range(30))
    for batch in batches[:20]:
        ones = batch.target[:, 0, 0] // 100 == 1
        assert torch.equal(batch.exact.flatten(1).all(1), ones)
        assert torch.equal(batch.exact.flatten(1).any(1), ones)


def test_a_source_without_share_is_never_drawn():
    batches = mixture(shares=(1.0, 0.0)).over(range(40))
    assert all(bool((batch.target < 200).all()) for batch in batches)


def test_a_change_comes_before_crop_and_flip_with_the_same_chance():
    seen = []

    def change(sample, chance):
        seen.append(sample.target.shape)
        return Sample(
            sample.image, np.full_like(sample.target, chance.integers(1 << 20)), np.ones_like(sample.exact)
        )

    one, again = mixture(change=change)[4], mixture(change=change)[4]
    assert seen == [(30, 40)] * 6
    assert same(one, again)
    assert len(one.target.unique()) == 3
    assert one.exact.all()


def test_colours_are_normalised_for_the_network_and_axes_put_first():
    rng = np.random.default_rng(0)
    samples = [
        Sample(
            rng.integers(0, 256, (5, 7, 3), dtype=np.uint8),
            rng.random((5, 7), np.float32),
            rng.random((5, 7)) < 0.5,
        )
        for _ in range(2)
    ]
    batch = collated(samples, RULE)
    for i, sample in enumerate(samples):
        want = (sample.image.astype(np.float64) / 255 - RULE.mean) / RULE.std
        np.testing.assert_allclose(batch.pixels[i].permute(1, 2, 0).numpy(), want, atol=1e-5)
        np.testing.assert_array_equal(batch.target[i].numpy(), sample.target)
        np.testing.assert_array_equal(batch.exact[i].numpy(), sample.exact)
    assert batch.pixels.dtype == torch.float32


def test_rules_reach_the_samples():
    plain = Mixture([Source(Noise(1))], RULE, [(30, 40)], batch_size=2, rules=Augmentation(1, False, 0, 0))[0]
    index = int(plain.target[0, 0, 0]) - 100
    np.testing.assert_array_equal(plain.target[0].numpy(), Noise(1).load(index).target)
