"""What was found out about a checkpoint on this machine: which compiled network runs it, in which format.

Reading weights, taking their digest and trying number formats needs PyTorch, whose import alone takes longer
than a picture. It is done once: a record beside the compiled network says how it came out, and names the
checkpoint by what a file system tells without reading it (as `make` and `git` do).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from depth3d._version import __version__
from depth3d.core.depth import DepthKind
from depth3d.estimate.backends.artefacts import GRAPH_VERSION, INT8_VERSION, cache_folder
from depth3d.estimate.checkpoint_identity import checkpoint_identity
from depth3d.estimate.outputs import OutputMeaning, RawOutput
from depth3d.estimate.preprocess import InputRule

__all__ = ["SettledNetwork", "recall", "remember"]

_log = logging.getLogger("depth3d")

_VERSIONS = (3, GRAPH_VERSION, INT8_VERSION, __version__)
"""Of records, and of what they name."""


@dataclass(frozen=True, slots=True)
class SettledNetwork:
    """A compiled network and what must be known to use it.

    Attributes:
        blob: The file, made by this very program for this very processor.
        form: The number format that it computes in: `bf16`, `f16`, `f32` or `i8`.
        circumstances: What the file depends on besides the weights, such as the program's version.
        program: What runs it, `openvino` or `onnx`; the file is in the folder of that name.
        rule: How it wants its images.
        meaning: Of its output.
        sized: Files of it for images of one size alone, by that size (see `Blob`).
    """

    blob: Path
    form: str
    circumstances: Mapping[str, Any]
    rule: InputRule
    meaning: OutputMeaning
    program: str = "openvino"
    sized: Mapping[str, Path] = field(default_factory=dict)


def remember(checkpoint: Path, asked: Mapping[str, Any], settled: SettledNetwork) -> None:
    """Write down how a checkpoint runs here; nothing happens where the cache can't be written.

    Args:
        checkpoint: The directory or file of the weights.
        asked: The options that decide it, such as `dtype`.
        settled: What was found.
    """
    path = _record_of(checkpoint, asked, settled.program)
    if path is None or not settled.blob.is_relative_to(path.parent):
        return
    try:
        length = settled.blob.stat().st_size
    except OSError:  # another process has removed it meanwhile
        return
    record = {
        "blob": settled.blob.name,
        "bytes": length,
        "sized": {size: file.name for size, file in settled.sized.items()},
        "form": settled.form,
        "circumstances": dict(settled.circumstances),
        "rule": asdict(settled.rule),
        "meaning": asdict(settled.meaning),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(record, indent=1))
        partial.replace(path)
    except OSError as error:
        _log.debug("can't keep %s: %s", path, error)
        with suppress(OSError):
            partial.unlink()


def recall(checkpoint: Path, asked: Mapping[str, Any], program: str) -> SettledNetwork | None:
    """Read what was written down about a checkpoint.

    Args:
        checkpoint: The directory or file of the weights.
        asked: The options that decide it.
        program: What is to run it, `openvino` or `onnx`.

    Returns:
        None if nothing was, if the checkpoint has changed since, if the compiled network is gone, or if it
        or the record is damaged.
    """
    path = _record_of(checkpoint, asked, program)
    if path is None or not path.is_file():
        return None
    try:
        record = json.loads(path.read_text())
        rule, meaning = record["rule"], record["meaning"]
        rule |= {key: tuple(rule[key]) for key in ("size_hw", "mean", "std")}
        meaning |= {"raw": RawOutput(meaning["raw"]), "kind": DepthKind(meaning["kind"])}
        settled = SettledNetwork(
            path.with_name(Path(record["blob"]).name),
            str(record["form"]),
            dict(record["circumstances"]),
            InputRule(**rule),
            OutputMeaning(**meaning),
            program,
            {str(size): path.with_name(Path(name).name) for size, name in record["sized"].items()},
        )
        is_whole = settled.blob.is_file() and settled.blob.stat().st_size == record["bytes"]
        is_whole &= all(path.is_file() for path in settled.sized.values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.debug("%s is damaged: %s", path, error)
        return None
    return settled if is_whole else None


def _record_of(checkpoint: Path, asked: Mapping[str, Any], program: str) -> Path | None:
    """Name the record of a checkpoint as it is now; None where it is not all there."""
    identity = checkpoint_identity(checkpoint)
    if identity is None:
        return None
    facts = [*_VERSIONS, sorted(asked.items(), key=str), *identity]
    name = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    return cache_folder() / program / f"{name}.json"
