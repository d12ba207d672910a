"""Why references give no calibration, each reason with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.consensus import Consensus
from depth3d.calibrate.rows import System
from depth3d.errors import InputError

__all__ = [
    "ambiguous",
    "contradictory",
    "falling",
    "no_reference",
    "one_reference",
    "undetermined",
]

_Array: TypeAlias = npt.NDArray[np.float64]

_LOOKS_LIKE_DEPTH = 0.8  # R^2 from which falling values are taken for depth
_FITS_REL = 0.2  # error up to which 1 / values are taken for disparity
_CLEARLY_LESS = 0.5  # of the other's error: without a shift 1 / disparity is depth, and they can't be told


def no_reference() -> InputError:
    """Nothing at all is known."""
    return InputError(
        "a calibration needs something known in metres; measure the distance of two points, one near and "
        "one far, and give each as Anchor(u_px, v_px, depth_m) or --anchor X,Y,METRES"
    )


def one_reference(name: str) -> InputError:
    """One equation for scale and shift."""
    return InputError(
        f"one reference ({name}) can't fix scale and shift of a relative map; add a second one at another "
        "distance, such as FarPoint(u_px, v_px) on the sky (depth3d calibrate --far X,Y), or form='scale' "
        "to assume a shift of 0"
    )


def undetermined(system: System, names: Sequence[str], what: str) -> InputError:
    """Say that all references are at about the same value, and on which side there is room.

    Args:
        system: The rows.
        names: Of the references.
        what: What can't be told from them, such as "how depth changes with the map's value".
    """
    count = len(system.targets)
    order = np.argsort(system.targets)
    z = _metres(system, system.targets[order]) if count else np.array([])
    if count >= 2:
        ends = dict.fromkeys(names[system.reference[order[end]]] for end in (0, -1))
        spread = f"all lie between {z.min():.3g} and {z.max():.3g} m ({', '.join(ends)})"
    else:
        spread = "are too alike"
    return InputError(
        f"the references can't tell {what}, as they {spread} or are too uncertain for it; add one that is "
        "much nearer or much farther"
    )


def ambiguous(system: System, solutions: Sequence[_Array]) -> InputError:
    """Say that two laws satisfy the references, and where they differ most."""
    first, second = (_metres(system, system.places @ solution) for solution in solutions[:2])
    place = int(np.argmax(np.abs(np.log(first / second))))
    return InputError(
        "two different scenes satisfy these references: in one a point of theirs is "
        f"{first[place]:.3g} m away and in the other {second[place]:.3g} m; add the distance of any point, "
        "such as Anchor(u_px, v_px, depth_m)"
    )


def falling(system: System, names: Sequence[str], value: _Array) -> InputError:
    """Say that the map runs the wrong way, and what it is instead where the references can tell."""
    y = system.targets
    disparity = system.law.space == "disparity"
    z = _metres(system, y)
    if len(y) >= 4:
        explained = _r2(value, z if disparity else 1 / z)
        reciprocal = _off(1 / value, 1 / z) if disparity and (value > 0).all() else np.inf
        if reciprocal < min(_FITS_REL, _CLEARLY_LESS * _off(value, z)):
            return InputError(
                "this map is 1 / disparity: its values grow with the distance of the references, and 1 / "
                "values are on one line with 1 / z, as the values are not with z; give 1 / values"
            )
        if explained > _LOOKS_LIKE_DEPTH:
            if disparity:
                return InputError(
                    "this map is depth and no disparity: its values grow with the distance of the references "
                    f"(R^2 = {explained:.2f}); open it as metric (DepthMap(values, 'metric'), --depth-kind "
                    "metric), or give 1 / values"
                )
            return InputError(
                "this map is disparity and no depth: its values grow with the nearness of the references "
                f"(R^2 = {explained:.2f}); open it as relative (DepthMap(values, 'relative'), --depth-kind "
                "relative)"
            )
    near, far = int(np.argmin(z)), int(np.argmax(z))
    larger = "larger" if disparity else "smaller"
    return InputError(
        f"the map runs against the references: the nearer one, {names[system.reference[near]]}, should have "
        f"the {larger} value, and it has {value[near]:.4g} where {names[system.reference[far]]} has "
        f"{value[far]:.4g}; check both pixels, and whether this map is "
        f"{'disparity' if disparity else 'depth'} ({'larger is nearer' if disparity else 'in metres'})"
    )


def contradictory(system: System, found: Consensus, names: Sequence[str], lengths_m: _Array) -> InputError:
    """Say which reference is farthest from the law that most agree on, with both numbers."""
    loss = np.where(np.isfinite(found.residual), np.abs(found.residual), np.inf)
    worst = int(np.argmax(loss * (system.share > 0)))
    reference = int(system.reference[worst])
    count = len(set(system.reference.tolist()))
    others = sorted(set(system.reference[found.agreeing].tolist()) - {reference})
    told = _told(system, found, worst, lengths_m)
    if len(others) > 2 or not others:
        by = "the law that most of them agree on"
    else:
        by = " and ".join(names[index] for index in others)
    if count == 1:
        agreeing = 100 * system.share[found.agreeing].sum() / system.share.sum()
        return InputError(
            f"{names[reference]} does not fit the map: only {agreeing:.0f} % of the samples agree on any "
            "law; check that both show the same picture, and its unit and kind"
        )
    return InputError(
        f"the references contradict one another: by {by}, {names[reference]} would be {told}; measure it "
        "again, or add others, which will show which one is wrong"
    )


def _told(system: System, found: Consensus, worst: int, lengths_m: _Array) -> str:
    """Say what the law makes of a row's length."""
    if worst < len(system.targets):
        y = system.places[worst] @ found.parameters
        return f"{_metres(system, np.array([y]))[0]:.3g} m away" if y > 0 else "beyond infinity"
    residual, length = found.residual[worst], lengths_m[system.reference[worst]]
    if np.isfinite(residual) and np.isfinite(length):
        return f"{length * np.exp(residual):.3g} m long"
    return "impossible"


def _metres(system: System, y: _Array) -> _Array:
    return 1 / y if system.law.space == "disparity" else y


def _r2(value: _Array, target: _Array) -> float:
    """Give R^2 of a rising straight line; 0 of a falling one."""
    if value.std() == 0 or target.std() == 0:
        return 0.0
    r = float(np.corrcoef(value, target)[0, 1])
    return max(r, 0.0) ** 2


def _off(value: _Array, target: _Array) -> float:
    """Give the relative error, root mean square, of a rising straight line; inf of a falling one."""
    slope, shift = np.polyfit(value, target, 1, w=1 / target)
    return float(np.sqrt(np.mean(((slope * value + shift) / target - 1) ** 2))) if slope > 0 else np.inf
