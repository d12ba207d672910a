"""Weights on the Hugging Face hub: what is cached, and fetching what is not.

Everything goes through `huggingface_hub`, so `HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE` and `HF_TOKEN`
mean what they mean elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from depth3d.errors import CheckpointError, ModelUnavailableError, UnknownModelError
from depth3d.estimate.registry import ALIASES, MODELS, ModelCard, model_card

__all__ = ["cached_folder", "download", "fetch", "is_cached", "locate_weights"]

_log = logging.getLogger("depth3d")

_CONFIGS = ("config.json", "preprocessor_config.json")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Best first; either may be split into shards that an index names."""

_TIMEOUT_S = 10.0


def is_cached(card: ModelCard) -> bool:
    """Tell whether a network can be loaded without the internet.

    Args:
        card: From `depth3d.estimate.registry`.
    """
    return cached_folder(card) is not None


def cached_folder(card: ModelCard) -> Path | None:
    """Find a network in the local cache.

    Args:
        card: From `depth3d.estimate.registry`.

    Returns:
        The directory with its configuration and complete weights: of the pinned revision if that is
        there, else of the newest one that was fetched by any program; None if there is neither.
    """
    for revision in dict.fromkeys((card.revision, None)):
        config = _cached_file(card, "config.json", revision)
        if config is not None and _has_weights(config.parent):
            return config.parent
    return None


def fetch(card: ModelCard) -> Path:
    """Give the directory of a network, from the cache or else from the hub.

    Args:
        card: From `depth3d.estimate.registry`.

    Returns:
        The directory with its configuration and weights.

    Raises:
        ModelUnavailableError: It is not cached, and the hub is out of reach or does not have it.
        CheckpointError: What arrived is not what the hub announced.
    """
    folder = cached_folder(card)
    if folder is None:
        _log.info("fetching %s", card.hub_id)
        folder = download(card)
    return folder


def locate_weights(name_or_path: str | Path) -> tuple[ModelCard, Path]:
    """Find a network by name, hub id or path; fetch it if it must be fetched.

    Args:
        name_or_path: Names win over paths: write `./small` for a directory of that name.

    Returns:
        Its card and its directory or file.

    Raises:
        UnknownModelError: The name means nothing.
        ModelUnavailableError: The weights are not cached and the hub is out of reach.
    """
    from depth3d.estimate.checkpoints import FILE_SUFFIXES

    try:
        path = Path(name_or_path).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long, a home that nobody has
        raise UnknownModelError(
            f"{str(name_or_path)[:80]!r} can't be a path ({getattr(error, 'strerror', None) or error}); "
            "give a directory, a file, or a name of 'depth3d models'"
        ) from None
    if isinstance(name_or_path, str):
        text = name_or_path.strip()
        is_path = text != "" and (exists or path.suffix.lower() in FILE_SUFFIXES)
        if not is_path or text.lower() in MODELS or text.lower() in ALIASES:
            card = model_card(text)
            return card, fetch(card)
    return ModelCard(name=path.stem if path.is_file() else path.resolve().name, hub_id=str(path)), path


def download(card: ModelCard, *, on_progress: Callable[[float], None] | None = None) -> Path:
    """Fetch a network into the Hugging Face cache and check its hash.

    Args:
        card: From `depth3d.estimate.registry`.
        on_progress: Called with the number of bytes of weights that have arrived since the last call.

    Returns:
        The directory with its configuration and weights.

    Raises:
        ModelUnavailableError: The hub is out of reach, refuses, or has no such network. Without a
            network at all this takes no longer than one failed look-up.
        CheckpointError: The hash of the weights is not the announced one; the file is removed.
    """
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if constants.HF_HUB_OFFLINE:
        raise _unavailable(card, "HF_HUB_OFFLINE is set")
    try:
        # Asked first because it fails at once: a download without a network retries for 23 seconds.
        info = HfApi().model_info(
            card.hub_id, revision=card.revision, files_metadata=True, timeout=_TIMEOUT_S
        )
        hashes = {file.rfilename: file.lfs.sha256 if file.lfs else None for file in info.siblings or ()}
        names = _files_to_fetch(card, list(hashes))
        bar = None if on_progress is None else _reporting_bar(on_progress)
        folder = None
        for name in names:
            # By branch where no revision is pinned: the cache only finds what was fetched under that name.
            path = Path(
                hf_hub_download(
                    card.hub_id, name, revision=card.revision, tqdm_class=None if name in _CONFIGS else bar
                )
            )
            folder = folder or path.parent
            expected = (card.sha256 if name == "model.safetensors" else None) or hashes[name]
            if expected:
                _check_hash(path, expected)
    except RepositoryNotFoundError as error:
        gated = isinstance(error, GatedRepoError)
        why = "asks for an accepted licence and a token (HF_TOKEN)" if gated else "has no such repository"
        raise _unavailable(card, f"the hub {why}") from error
    except RevisionNotFoundError as error:
        raise _unavailable(card, f"the hub has no revision {card.revision}") from error
    except (CheckpointError, ModelUnavailableError):
        raise
    except Exception as error:  # httpx, requests, OSError ...: whichever client this version has
        raise _unavailable(card, f"the hub can't be reached ({_first_line(error)})") from error
    if folder is None:
        raise _unavailable(card, "the repository holds no config.json")
    return folder


def _unavailable(card: ModelCard, why: str) -> ModelUnavailableError:
    if is_cached(card):
        return ModelUnavailableError(
            f"{card.name} is on this machine already and can't be fetched again: {why}; use it as it is"
        )
    label = card.name if card.name == card.hub_id else f"{card.name} ({card.hub_id})"
    return ModelUnavailableError(
        f"the weights of {label} are not on this machine and {why}; give a local "
        f"directory as the model, use --depth FILE, or run 'depth3d models download {card.name}' when online"
    )


def _cached_file(card: ModelCard, name: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(card.hub_id, name, revision=revision)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _has_weights(folder: Path) -> bool:
    for name in _WEIGHTS:
        if (folder / name).exists():
            return True
        index = folder / f"{name}.index.json"
        if index.exists():
            try:
                shards = set(json.loads(index.read_text())["weight_map"].values())
            except (ValueError, KeyError, AttributeError, OSError):
                return False
            return all((folder / shard).exists() for shard in shards)
    return False


def _files_to_fetch(card: ModelCard, available: list[str]) -> list[str]:
    configs = [name for name in _CONFIGS if name in available]
    for weights in _WEIGHTS:
        stem, suffix = weights.rsplit(".", 1)
        shards = [n for n in available if n.startswith(f"{stem}-") and n.endswith(f".{suffix}")]
        index = [f"{weights}.index.json"] if f"{weights}.index.json" in available else []
        if weights in available:
            return [*configs, weights]
        if shards and index:
            return [*configs, *index, *shards]
    raise _unavailable(card, "the repository holds no model.safetensors")


def _check_hash(path: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path.name} arrived damaged: sha256 {digest.hexdigest()[:12]}..., expected {expected[:12]}...; "
            "it was removed, download it again"
        )


def _reporting_bar(on_progress: Callable[[float], None]) -> type[Any]:
    """Make a class that takes tqdm's place and hands each step on instead of drawing it."""
    from huggingface_hub.utils import tqdm

    def silent(self: Any, *args: Any, **kwargs: Any) -> None:
        tqdm.__init__(self, *args, **(kwargs | {"disable": True}))

    def update(self: Any, n: float | None = 1) -> None:
        on_progress(float(n or 0))

    return type("ReportingBar", (tqdm,), {"__init__": silent, "update": update})


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
