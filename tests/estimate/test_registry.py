"""Names of networks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from depth3d.errors import UnknownModelError
from depth3d.estimate.registry import ALIASES, MODELS, model_card


@pytest.mark.parametrize(
    ("name", "hub_id", "max_depth_m", "licence"),
    [
        ("small", "depth-anything/Depth-Anything-V2-Small-hf", None, "Apache-2.0"),
        ("base", "depth-anything/Depth-Anything-V2-Base-hf", None, "CC-BY-NC-4.0"),
        ("large", "depth-anything/Depth-Anything-V2-Large-hf", None, "CC-BY-NC-4.0"),
        ("metric-indoor-small", "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf", 20, "Apache-2.0"),
        ("metric-indoor-base", "depth-anything/Depth-Anything-V2-Metric-Indoor-Base-hf", 20, "CC-BY-NC-4.0"),
        (
            "metric-indoor-large",
            "depth-anything/Depth-Anything-V2-Metric-Indoor-Large-hf",
            20,
            "CC-BY-NC-4.0",
        ),
        (
            "metric-outdoor-small",
            "depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf",
            80,
            "Apache-2.0",
        ),
        (
            "metric-outdoor-base",
            "depth-anything/Depth-Anything-V2-Metric-Outdoor-Base-hf",
            80,
            "CC-BY-NC-4.0",
        ),
        (
            "metric-outdoor-large",
            "depth-anything/Depth-Anything-V2-Metric-Outdoor-Large-hf",
            80,
            "CC-BY-NC-4.0",
        ),
    ],
)
def test_cards(name: str, hub_id: str, max_depth_m: float | None, licence: str) -> None:
    card = model_card(name)
    assert (card.name, card.hub_id, card.max_depth_m, card.licence) == (name, hub_id, max_depth_m, licence)
    assert str(card.kind) == ("relative" if max_depth_m is None else "metric")
    assert card.commercial_use is (licence == "Apache-2.0")
    assert model_card(hub_id) is card
    assert json.loads(json.dumps(card.facts()))["kind"] == str(card.kind)


def test_there_are_no_others() -> None:
    assert len(MODELS) == 10
    assert set(ALIASES.values()) <= set(MODELS)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("vits", "small"),
        ("vitb", "base"),
        ("vitl", "large"),
        ("depth-anything-v2", "small"),
        ("depth-anything-v2/small", "small"),
        ("depth-anything-v2/base", "base"),
        ("depth-anything-v2/large", "large"),
        ("Small", "small"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert model_card(alias) is MODELS[name]


def test_only_what_is_known_is_pinned() -> None:
    small = MODELS["small"]
    assert small.revision is not None
    assert len(small.revision) == 40
    assert small.sha256 is not None
    assert len(small.sha256) == 64
    assert small.bytes_to_fetch == 99_173_660
    assert all(card.sha256 is None and card.revision is None for card in MODELS.values() if card is not small)
    assert MODELS["large"].bytes_to_fetch == 4 * 335_300_000


def test_any_hub_id_is_taken() -> None:
    card = model_card("apple/DepthPro-hf")
    assert (card.hub_id, card.kind, card.bytes_to_fetch) == ("apple/DepthPro-hf", None, 0)
    assert card.commercial_use  # not known to be forbidden


@pytest.mark.parametrize(
    ("name", "hint"),
    [("smal", "did you mean 'small'"), ("zzzz", "the names are small"), ("a/b/c", "the names")],
)
def test_an_unknown_name_gets_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UnknownModelError, match=hint):
        model_card(name)


def test_names_cost_no_torch() -> None:
    code = "import sys, depth3d.estimate.registry, depth3d.estimate.hub; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
