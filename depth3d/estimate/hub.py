"""Weights on the Hugging Face hub: what is cached, and fetching what is not.

Everything goes through `huggingface_hub`, so `HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE` and `HF_TOKEN`
mean what they mean elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from depth3d.errors import CheckpointError, ModelUnavailableError, UnknownModelError
from depth3d.estimate.registry import ALIASES, AUTO, FILE_SUFFIXES, MODELS, ModelCard, model_card
from depth3d.estimate.video_depth import refuse_video_network

__all__ = ["cached_folder", "download", "fetch", "is_cached", "locate_weights"]

_log = logging.getLogger("depth3d")

_Answer = TypeVar("_Answer")

_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)

_CONFIGS = ("config.json", "preprocessor_config.json")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Best first; either may be split into shards that an index names."""

_TIMEOUT_S = 10.0
"""How long the hub may take to say what a repository holds."""


def is_cached(card: ModelCard) -> bool:
    """Tell whether a network can be loaded without the internet.

    Args:
        card: From `depth3d.estimate.registry`.
    """
    return card.shipped is not None or cached_folder(card) is not None


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
    """Give the directory or file of a network: what ships with depth3d, the cache, or else the hub.

    Args:
        card: From `depth3d.estimate.registry`.

    Returns:
        The directory with its configuration and weights, or the file that ships with depth3d.

    Raises:
        ModelUnavailableError: It is not cached, and the hub is out of reach or does not have it.
        CheckpointError: What arrived is not what the hub announced.
    """
    if card.shipped is not None:
        return card.shipped
    folder = cached_folder(card)
    if folder is None:
        _log.info("fetching %s", card.hub_id)
        folder = download(card)
    return folder


def locate_weights(name_or_path: str | Path) -> tuple[ModelCard, Path]:
    """Find a network by name, hub id or path; fetch it if it must be fetched.

    Args:
        name_or_path: Names win over paths: write `./small` for a directory of that name. `auto` is
            Depth Anything V2 Small where it is cached or can be fetched, else `mini`, with a warning.

    Returns:
        Its card and its directory or file.

    Raises:
        UnknownModelError: The name means nothing, or is that of a network for films.
        ModelUnavailableError: The weights are not cached and the hub is out of reach.
    """
    refuse_video_network(name_or_path)
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
        if text.lower() == AUTO:
            return _best_available()
        if not is_path or text.lower() in MODELS or text.lower() in ALIASES:
            card = model_card(text)
            return card, fetch(card)
    return ModelCard(name=path.stem if path.is_file() else path.resolve().name, hub_id=str(path)), path


def _best_available() -> tuple[ModelCard, Path]:
    small = MODELS["small"]
    folder = cached_folder(small)
    return _fetched_or_mini() if folder is None else (small, folder)


@cache  # neither the wait for a hub that does not answer nor the line is repeated in a process
def _fetched_or_mini() -> tuple[ModelCard, Path]:
    small, mini = MODELS["small"], MODELS["mini"]
    try:
        return small, fetch(small)
    except (ModelUnavailableError, CheckpointError) as error:  # out of reach, or arrived damaged
        _log.info("%s", error)
        _log.warning(
            "using mini, the small network that comes with depth3d: Depth Anything V2 Small is not on this "
            "machine and can't be fetched; for better depth run 'depth3d models download small' when online, "
            "or choose the model mini to save the attempt"
        )
        return mini, fetch(mini)


def download(card: ModelCard, *, on_progress: Callable[[float], None] | None = None) -> Path:
    """Fetch a network into the Hugging Face cache and check its hash.

    Args:
        card: From `depth3d.estimate.registry`.
        on_progress: Called with the number of bytes of weights that have arrived since the last call.

    Returns:
        The directory with its configuration and weights, or the file that ships with depth3d.

    Raises:
        ModelUnavailableError: The hub is out of reach, refuses, or has no such network. Where nothing
            answers, that is known within 10 seconds.
        CheckpointError: The hash of the weights is not the announced one; the file is removed.
    """
    if card.shipped is not None:
        return card.shipped
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if constants.HF_HUB_OFFLINE:
        raise _unavailable(card, "HF_HUB_OFFLINE is set")
    try:
        # Asked first because it fails at once: a download without a network retries for 23 seconds.
        info = _within(
            _TIMEOUT_S,
            lambda: HfApi().model_info(
                card.hub_id, revision=card.revision, files_metadata=True, timeout=_TIMEOUT_S
            ),
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


def _within(seconds: float, ask: Callable[[], _Answer]) -> _Answer:
    """Call, but wait no longer than that: a client's own limit holds for each address and each attempt."""
    answers: SimpleQueue[_Answer | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            answers.put(ask())
        except BaseException as error:  # it is raised where the answer is awaited
            answers.put(error)

    Thread(target=run, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


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
    """Look up a file in the cache, as `huggingface_hub` does, whose client takes 0.1 s to import."""
    from huggingface_hub import constants

    if len(card.hub_id) > 96 or not _REPOSITORY.fullmatch(card.hub_id):
        return None
    folder = Path(constants.HF_HUB_CACHE) / f"models--{card.hub_id.replace('/', '--')}"
    reference = folder / "refs" / (revision or "main")
    try:
        commit = reference.read_text() if reference.is_file() else revision or "main"
        found = folder / "snapshots" / commit / name
        return found if found.is_file() else None
    except OSError:
        return None


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
