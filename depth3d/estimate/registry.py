"""The networks that depth3d knows by name: kind, size, licence, and where their weights are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from depth3d.core.depth import DepthKind
from depth3d.errors import UnknownModelError

__all__ = ["ALIASES", "AUTO", "FILE_SUFFIXES", "MODELS", "ModelCard", "model_card"]

FILE_SUFFIXES = (".pth", ".pt", ".safetensors")
"""Single files that can hold weights."""

_APACHE, _NON_COMMERCIAL = "Apache-2.0", "CC-BY-NC-4.0"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a network before its weights are opened.

    Attributes:
        name: The name that users type.
        hub_id: `owner/repository` on the Hugging Face hub, a path for local weights, or empty for a
            network that comes with depth3d.
        kind: What its maps mean; None until the weights are opened, for networks not listed here.
        max_depth_m: The largest depth in metres that a metric network can say.
        parameters: How many weights it has.
        licence: SPDX identifier of the weights' licence.
        revision: The commit on the hub that was tested; None takes the newest.
        sha256: Hash of its `model.safetensors`, where known.
        weights_bytes: Size of that file, where known.
        shipped: Its file, if it comes with depth3d and is never fetched.
    """

    name: str
    hub_id: str
    kind: DepthKind | None = None
    max_depth_m: float | None = None
    parameters: int | None = None
    licence: str = "unknown"
    revision: str | None = None
    sha256: str | None = None
    weights_bytes: int | None = None
    shipped: Path | None = None

    @property
    def commercial_use(self) -> bool:
        """Whether the licence is not known to forbid commercial use."""
        return "-NC" not in self.licence

    @property
    def bytes_to_fetch(self) -> int:
        """Size of the weights in bytes: known, or 4 a parameter, or 0 where nothing is known."""
        return self.weights_bytes or 4 * (self.parameters or 0)

    def facts(self) -> dict[str, Any]:
        """Give the card as JSON types."""
        return {
            "name": self.name,
            "hub_id": self.hub_id or None,
            "kind": None if self.kind is None else str(self.kind),
            "max_depth_m": self.max_depth_m,
            "parameters": self.parameters,
            "licence": self.licence,
            "revision": self.revision,
            "sha256": self.sha256,
        }


_SIZES = (
    ("small", 24_800_000, _APACHE),
    ("base", 97_500_000, _NON_COMMERCIAL),
    ("large", 335_300_000, _NON_COMMERCIAL),
)
_FAMILIES: tuple[tuple[str, str, float | None], ...] = (
    ("", "", None),
    ("metric-indoor-", "Metric-Indoor-", 20.0),
    ("metric-outdoor-", "Metric-Outdoor-", 80.0),
)


def _depth_anything_v2() -> dict[str, ModelCard]:
    cards = {
        prefix + size: ModelCard(
            name=prefix + size,
            hub_id=f"depth-anything/Depth-Anything-V2-{hub_prefix}{size.capitalize()}-hf",
            kind=DepthKind.METRIC if max_depth_m else DepthKind.RELATIVE,
            max_depth_m=max_depth_m,
            parameters=parameters,
            licence=licence,
        )
        for prefix, hub_prefix, max_depth_m in _FAMILIES
        for size, parameters, licence in _SIZES
    }
    # Only what was seen with our own eyes is pinned.
    cards["small"] = replace(
        cards["small"],
        revision="5426e4f0f36572d16453bbda7a8389317b1bef99",
        sha256="3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70",
        weights_bytes=99_173_660,
    )
    return cards


_MINI = ModelCard(
    name="mini",
    hub_id="",
    kind=DepthKind.RELATIVE,
    parameters=4_266_633,
    licence=_APACHE,
    shipped=Path(__file__).parent / "weights" / "mini.safetensors",
)

MODELS: Mapping[str, ModelCard] = MappingProxyType(_depth_anything_v2() | {_MINI.name: _MINI})
"""Depth Anything V2 (Yang et al., NeurIPS 2024) by name: three sizes, relative and two metric ranges; and
`mini`, which comes with depth3d."""

AUTO = "auto"
"""Asks for Depth Anything V2 Small where it can be had, and for `mini` where not."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "vits": "small",
        "vitb": "base",
        "vitl": "large",
        "depth-anything-v2": "small",
        "depth-anything-v2/small": "small",
        "depth-anything-v2/base": "base",
        "depth-anything-v2/large": "large",
    }
)
"""Other spellings of the names in `MODELS`."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def model_card(name: str) -> ModelCard:
    """Look a network up.

    Args:
        name: A name in `MODELS`, one of `ALIASES`, or any `owner/repository` of the hub.

    Returns:
        Its card; of a repository that is not listed only the hub id is known.

    Raises:
        UnknownModelError: None of these, or `auto`; the message names the nearest.
    """
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    if key in MODELS:
        return MODELS[key]
    if key == AUTO:
        raise UnknownModelError(
            f"{AUTO!r} is no network of its own but a choice between two; give 'small' or 'mini'"
        )
    for card in MODELS.values():
        if key and card.hub_id.lower() == key:
            return card
    if _HUB_ID.fullmatch(name.strip()):
        return ModelCard(name=name.strip(), hub_id=name.strip())
    near = get_close_matches(key, [*MODELS, AUTO, *ALIASES], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the names are {', '.join((*MODELS, AUTO))}"
    raise UnknownModelError(
        f"{name!r} is neither a model that depth3d knows, nor a hub id (owner/name), nor a path that exists; "
        f"{hint}"
    )
