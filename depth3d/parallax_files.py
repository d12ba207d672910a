"""`load_keyframes` and `load_path`: ways of a camera from files; `film_facts`: what a film is."""

from __future__ import annotations

import json
import reprlib
import sys
from pathlib import Path
from typing import Any

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.trajectories import load_trajectory
from depth3d.render.film import Film
from depth3d.render.keyframes import Keyframe, Keyframes, RecordedPath

__all__ = ["film_facts", "load_keyframes", "load_path"]

_FIELDS = {"keys", "unit", "aim"}
_KEY_FIELDS = {"time_s": None, "position": 3, "look_deg": 3, "zoom": None, "easing": None}
"""Fields of a key, and how many numbers each is."""


def load_keyframes(path: str | Path) -> Keyframes:
    """Read keyframes from JSON.

    Such as::

        {
          "unit": "auto",
          "aim": "shift",
          "keys": [
            {"time_s": 0, "position": [0, 0, 0]},
            {"time_s": 2, "position": [1, -0.3, 0.5], "look_deg": [0, 0, 1], "zoom": 1.1, "easing": "sine"},
            {"time_s": 4, "position": [0, 0, 0]}
          ]
        }

    `unit` is `auto`, where 1 becomes as large as the scene bears, or `m`; `aim` is `shift`, `look` or `ahead`
    (`Keyframes`). Of a key only `time_s` must be there; the others mean what `Keyframe` says.

    Args:
        path: The file.

    Raises:
        UnreadableFileError: The file is missing or no JSON.
        InputError: A field is missing, unknown, or holds something else; the message names it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        fields: Any = json.loads(text)
    except OSError as error:
        raise UnreadableFileError(f"can't read {path}: {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path} is no JSON ({error}); correct it") from None
    try:
        return _keyframes(fields)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def load_path(path: str | Path) -> RecordedPath:
    """Read poses in any format of `load_trajectory`, as a way relative to the first one.

    Raises:
        UnreadableFileError: As `load_trajectory`.
        InputError: As `load_trajectory`.
    """
    return RecordedPath(load_trajectory(path).poses)


def film_facts(film: Film) -> dict[str, Any]:
    """List what a film is: path, size, largest parallax, crop, still point."""
    plan = film.plan
    scale = plan.scale[0]
    shown = plan.window.width / plan.framing.whole.width
    facts: dict[str, Any] = {
        "path": repr(plan.path),
        "frames": plan.timing.frames,
        "repeat": plan.timing.repeat,
        "easing": plan.timing.easing,
        "size": list(plan.framing.size_wh),
        "largest_parallax_px": plan.jump_px * scale,
        "largest_motion_px": plan.motion_px * scale,
        "crop_percent": 100 * (1 - shown),
        "margin_px": plan.margin_px,
        "reach_px": plan.reach_px,
        "pivot": film.pivot.point,
        "pivot_why": film.pivot.why,
    }
    if plan.path.sized_by_scene:
        facts["length_m" if film.is_metric else "length_units"] = plan.length
    if film.is_metric and film.pivot.disparity > 0:
        facts["pivot_m"] = 1 / film.pivot.disparity
    return facts


def _keyframes(fields: Any) -> Keyframes:
    if not isinstance(fields, dict) or not isinstance(fields.get("keys"), list):
        raise InputError('keyframes are an object with "keys": [...]; each key has a "time_s"')
    _known(fields, _FIELDS, "the file")
    keys = [_keyframe(key, f"keys[{number}]") for number, key in enumerate(fields["keys"])]
    return Keyframes(keys, **{name: fields[name] for name in ("unit", "aim") if name in fields})


def _keyframe(fields: Any, where: str) -> Keyframe:
    if not isinstance(fields, dict) or "time_s" not in fields:
        raise InputError(f"{where} must be an object with time_s, the seconds; got {fields!r}")
    _known(fields, set(_KEY_FIELDS), where)
    values: dict[str, Any] = {}
    for name, value in fields.items():
        count = _KEY_FIELDS[name]
        if name == "easing":
            good = isinstance(value, str)
        elif count:
            good = isinstance(value, list) and len(value) == count and all(map(_is_number, value))
        else:
            good = _is_number(value)
        if not good:
            wanted = "a name" if name == "easing" else f"{count} numbers" if count else "a number"
            raise InputError(f"{where}.{name} must be {wanted}, got {reprlib.repr(value)}")
        values[name] = tuple(value) if count else value
    try:
        return Keyframe(**values)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None


def _known(fields: dict[str, Any], names: set[str], where: str) -> None:
    unknown = sorted(set(fields) - names)
    if unknown:
        raise InputError(f"{where} has {unknown[0]!r}, but may only have {', '.join(sorted(names))}")


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max
