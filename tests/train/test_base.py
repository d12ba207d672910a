"""A relative network is taught metres by refitting its last layer, and a licence is never lost."""

import json

import numpy as np
import pytest
import torch

from depth3d.errors import CheckpointError
from depth3d.estimate.registry import MODELS
from depth3d.train.base import Base, load_base
from depth3d.train.loop import Batch
from depth3d.train.saving import model_card_text
from depth3d.train.settings import FinetuneSettings


def batch(target):
    pixels = torch.randn(3, 3, 70, 84, generator=torch.Generator().manual_seed(1))
    return Batch(pixels, target, torch.ones(target.shape, dtype=torch.bool))


def test_refitting_is_exact_where_an_affine_change_is(tiny_folder):
    """Depths of the form max * sigmoid(s a + t), for the network's own a, come out as they are."""
    base = load_base(tiny_folder, metric=True, max_depth_m=15)
    assert base.needs_refit
    network = base.loaded.network
    pixels = batch(torch.zeros(3, 70, 84)).pixels
    with torch.no_grad():
        disparity = network(pixel_values=pixels).predicted_depth
    assert float(disparity.min()) > 0  # so that the ReLU hides nothing
    truth = 15 * torch.sigmoid(-0.8 * (disparity - disparity.mean()) / disparity.std() - 0.4)
    holes = truth.clone()
    holes[:, :20] = torch.nan
    holes[:, 20:30] = 400.0  # beyond the range: to be ignored as well
    refitted = base.refitted(batch(holes))
    assert (refitted.max_depth_m, refitted.needs_refit, str(refitted.loaded.meaning.kind)) == (
        15,
        False,
        "metric",
    )
    with torch.no_grad():
        torch.testing.assert_close(network(pixel_values=pixels).predicted_depth, truth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("asked", "range_m", "refit"), [(None, 12, False), (12, 12, False), (30, 30, True)])
def test_a_metric_base_keeps_its_range_unless_asked(tiny_network, tmp_path, asked, range_m, refit):
    tiny_network(kind="metric", max_depth=12).save_pretrained(tmp_path)
    base = load_base(tmp_path, metric=True, max_depth_m=asked)
    assert (base.max_depth_m, base.needs_refit) == (range_m, refit)


def test_metric_weights_that_do_not_tell_their_range_have_the_one_asked_for(tiny_network, tmp_path):
    tiny_network(kind="metric", max_depth=12).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_depth": None}))
    with pytest.raises(CheckpointError, match=r"give max_depth_m"):
        load_base(tmp_path, metric=True)
    base = load_base(tmp_path, metric=True, max_depth_m=12)
    assert (base.max_depth_m, base.needs_refit, base.loaded.network.head.max_depth) == (12, False, 12)


def test_a_relative_base_reaches_20_m_and_needs_no_metres_otherwise(tiny_folder):
    assert load_base(tiny_folder, metric=True).max_depth_m == 20
    base = load_base(tiny_folder, metric=False)
    assert (base.max_depth_m, base.needs_refit) == (None, False)
    assert all(weight.requires_grad for weight in base.loaded.network.parameters())


def based_on(name, folder=None):
    return Base(MODELS[name], None, folder, None)


def card_of(base, **changes):
    settings = FinetuneSettings(**changes)
    before = {"abs_rel": 0.3, "delta1": np.nan, "spearman": 0.7, "boundary_f1": 0.2}
    after = {"abs_rel": 0.1, "delta1": np.nan, "spearman": 0.9, "boundary_f1": 0.25}
    return model_card_text(base, settings, steps=70, photos=90, held_out=10, before=before, after=after)


@pytest.mark.parametrize(
    ("name", "licence", "sentence"),
    [
        ("small", "apache-2.0", "Apache-2.0, as its base."),
        ("base", "cc-by-nc-4.0", "not for commercial use either"),
        ("metric-indoor-large", "cc-by-nc-4.0", "not for commercial use either"),
    ],
)
def test_model_cards_state_licence_base_data_and_scores(name, licence, sentence):
    text = card_of(based_on(name), synthetic_share=0.2)
    header, _, body = text.removeprefix("---\n").partition("---\n")
    facts = dict(line.split(": ", 1) for line in header.splitlines())
    assert facts["license"] == licence
    assert facts["base_model"] == MODELS[name].hub_id
    assert facts["library_name"] == "transformers"
    for said in (
        sentence,
        "90 photos",
        "20% of the samples",
        "70 steps of 4",
        "10 photos kept",
        "| 0.300 | 0.100 |",
    ):
        assert said in body
    assert "delta1" not in body  # not defined for these photos


def test_a_licence_outlives_the_second_generation(tiny_folder, tmp_path):
    """Weights derived from derived weights are still bound by the first licence."""
    (tmp_path / "README.md").write_text(card_of(based_on("large")))
    second = Base(load_base(tiny_folder, metric=False).card, None, tmp_path, None)
    assert second.licence == "CC-BY-NC-4.0"
    (tmp_path / "README.md").write_text(card_of(second))
    third = Base(second.card, None, tmp_path, None)
    assert third.licence == "CC-BY-NC-4.0"
    assert "base_model" not in card_of(third)  # a path on this machine is nobody's business


@pytest.mark.parametrize("text", [None, "# no header", "---\nlicense: other\n---\n"])
def test_a_base_without_a_licence_says_so(tiny_folder, tmp_path, text):
    if text is not None:
        (tmp_path / "README.md").write_text(text)
    base = Base(load_base(tiny_folder, metric=False).card, None, tmp_path, None)
    assert base.licence == "unknown"
    assert "do not state their licence" in card_of(base)
    assert card_of(base).startswith("---\nlicense: other\n")
