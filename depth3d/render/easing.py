"""`ease`: how a motion sets out and comes to rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError

__all__ = ["EASINGS", "check_easing", "ease", "is_smooth"]

_Array = npt.NDArray[np.float64]


def _in_and_out(power: int) -> Callable[[_Array], _Array]:
    def curve(t: _Array) -> _Array:
        first = 0.5 * (2 * t) ** power
        last = 1 - 0.5 * (2 * (1 - t)) ** power
        return np.asarray(np.where(t < 0.5, first, last), dtype=np.float64)

    return curve


_CURVES: Mapping[str, tuple[Callable[[_Array], _Array], float, float]] = MappingProxyType(
    {
        "linear": (lambda t: t, 1.0, 1.0),
        "sine": (lambda t: np.sin(0.5 * np.pi * t) ** 2, 0.0, 0.0),
        "smooth": (lambda t: t * t * (3 - 2 * t), 0.0, 0.0),
        "smoother": (lambda t: t**3 * (t * (6 * t - 15) + 10), 0.0, 0.0),
        "quadratic": (_in_and_out(2), 0.0, 0.0),
        "cubic": (_in_and_out(3), 0.0, 0.0),
        "in": (lambda t: t * t, 0.0, 2.0),
        "out": (lambda t: t * (2 - t), 2.0, 0.0),
    }
)
"""Each curve, and its slopes at both ends."""

EASINGS = tuple(_CURVES)
"""`linear` keeps its speed; `sine` to `cubic` rest at both ends, each more abruptly in the middle than the
one before; `in` rests at the start only and `out` at the end only."""


def check_easing(name: str) -> str:
    """Return the name if it is one of `EASINGS`.

    Raises:
        InputError: It is not.
    """
    if name not in _CURVES:
        raise InputError(f"easing must be one of {', '.join(EASINGS)}, got {name!r}")
    return name


def ease(name: str, t: npt.ArrayLike) -> _Array:
    """Tell how far a motion has come.

    Args:
        name: One of `EASINGS`. `smooth` is 3t^2 - 2t^3 and `smoother` 6t^5 - 15t^4 + 10t^3 (Perlin 2002,
            "Improving noise"); `sine` is a half wave of a cosine.
        t: (...) share of the time, clipped to 0..1.

    Returns:
        (...) share of the way: 0 at 0, 1 at 1, never decreasing.

    Raises:
        InputError: An unknown name.
    """
    curve = _CURVES[check_easing(name)][0]
    return np.asarray(curve(np.clip(np.asarray(t, dtype=np.float64), 0, 1)), dtype=np.float64)


def is_smooth(name: str, *, there_and_back: bool) -> bool:
    """Tell whether the motion, repeated without end, never changes its speed at once.

    Args:
        name: One of `EASINGS`.
        there_and_back: Whether it goes back the way that it came, else round and round.
    """
    _, first, last = _CURVES[check_easing(name)]
    return (first == 0 and last == 0) if there_and_back else first == last
