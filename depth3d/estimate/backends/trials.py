"""How the trial of a number format came out, kept between runs: each start would pay for it again.

The trial runs a network in float32 and in the faster format (`settle_precision`), and so needs the weights in
both: of Small a third of a second, in which a picture could be done. What came out well once does so again
with the same weights, processor and PyTorch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from depth3d._version import __version__
from depth3d.accel.precision import cpu_flags
from depth3d.estimate.backends.artefacts import artefact
from depth3d.estimate.checkpoint_identity import checkpoint_identity

__all__ = ["TrialForm", "remembering"]

_log = logging.getLogger("depth3d")

TrialForm: TypeAlias = Literal["fitted", "plain", "float32"]
"""The faster format in the form that suits the processor; in its own form; or neither."""

_GOOD: tuple[TrialForm, ...] = ("fitted", "plain")
_VERSION = 1
"""To be raised when fast forms change, so that they are tried anew."""


class _FailedError(Exception):
    """Nothing to keep: it may have failed for lack of memory."""


def remembering(
    checkpoint: Path | None, **depends_on: Any
) -> Callable[[Callable[[], TrialForm]], TrialForm] | None:
    """Remember the outcome of trials of a checkpoint on a CPU.

    Args:
        checkpoint: The directory or file of the weights.
        **depends_on: What the outcome depends on besides the weights, the processor and depth3d.

    Returns:
        A function that takes the trial and gives its outcome; where that was good once, without trying.
        None where the checkpoint is not known.
    """
    identity = None if checkpoint is None else checkpoint_identity(checkpoint)
    if identity is None:
        return None

    def outcome_of(trial: Callable[[], TrialForm]) -> TrialForm:
        found: list[TrialForm] = []

        def make(path: Path) -> None:
            if not found:  # else the disk was full, and this is another
                found.append(trial())
            if found[0] not in _GOOD:
                raise _FailedError
            path.write_text(found[0])

        circumstances = {
            "checkpoint": identity, "flags": sorted(cpu_flags()), "depth3d": __version__, "trial": _VERSION,
        }  # fmt: skip
        try:
            return artefact("trials", ".txt", make, _read, **circumstances, **depends_on)
        except _FailedError:
            return "float32"
        except OSError as error:  # a full disk, say: what can't be kept was found nevertheless
            _log.debug("the trial of %s is not kept: %s", checkpoint, error)
            return found[0] if found else trial()

    return outcome_of


def _read(path: Path) -> TrialForm:
    text = path.read_text()
    for form in _GOOD:
        if text == form:
            return form
    raise ValueError("it names no form of a network")
