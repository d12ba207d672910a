"""`calibrate_many`: one calibration for the photos of a fixed camera, or one scale and a shift for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from depth3d.calibrate import refusals
from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.consensus import Consensus, judge
from depth3d.calibrate.equations import Equations, Observations
from depth3d.calibrate.fit import FitForm, check, fit_equations
from depth3d.calibrate.fit_quality import picture_figures
from depth3d.calibrate.fit_report import calibration_from
from depth3d.calibrate.references import Reference
from depth3d.calibrate.refit import Solution, refit
from depth3d.calibrate.rows import Law, System, picked
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["Share", "calibrate_many"]

_Array: TypeAlias = npt.NDArray[np.float64]

Share: TypeAlias = Literal["all", "scale"]
"""What the photos have in common: the whole law, or the scale alone."""

_MOST_PAIRS = 200  # of a photo


@dataclass(frozen=True, slots=True, eq=False)
class _OneScale(Law):
    """y = a v + b_k, with k the number of the photo, which stands in the first coordinate of the place."""

    photos: int = 1

    def factors(self, value: _Array, place: _Array) -> _Array:
        which = np.arange(self.photos) == np.round(place[:, :1])
        return np.concatenate([value[:, None], which.astype(np.float64)], axis=1)


def calibrate_many(
    depths: Sequence[DepthMap],
    references: Sequence[Sequence[Reference]],
    *,
    camera: Camera | None = None,
    share: Share = "all",
    form: FitForm = "auto",
    seed: int = 0,
) -> list[Calibration]:
    """Calibrate the depth maps of several photos together.

    A relative network gives each photo a scale and a shift of its own. They are nearly the same only for a
    camera that does not move and a scene that changes little, and then the references of all photos count for
    each (`all`). A scene seen from elsewhere under the same light and zoom keeps the scale better than the
    shift: `scale` then asks for one reference a photo, and for two at different distances in one of them.

    Args:
        depths: One map a photo, all relative or all metric.
        references: Those of each photo, in the same order; with `all` a photo may have none.
        camera: Of all photos.
        share: What they share.
        form: As for `calibrate`, with `all`.
        seed: As for `calibrate`.

    Returns:
        One calibration a photo, each with its own references.

    Raises:
        InputError: As for `calibrate`; no photo, lists of unlike lengths, maps of two kinds, a photo without
            a reference or a metric map where only the scale is shared.
    """
    from depth3d.calibrate.from_references import equations_from

    if share not in get_args(Share):
        raise InputError(f"share must be one of {get_args(Share)}, got {share!r}")
    if not depths or len(depths) != len(references):
        raise InputError(
            f"each photo needs its depth map and its list of references, got {len(depths)} and "
            f"{len(references)}"
        )
    if len({depth.kind for depth in depths}) > 1:
        raise InputError("the maps must be all relative or all metric; calibrate the others apart")
    together = tuple(reference for some in references for reference in some)
    if not together:
        raise refusals.no_reference()
    if share == "scale" and depths[0].is_metric:
        raise InputError("metric maps have no shift of their own; share 'all', which scales them alike")
    if share == "scale" and not all(references):
        lacking = next(index for index, some in enumerate(references) if not some)
        raise InputError(f"photo {lacking + 1} has no reference to find its shift by; add one")
    equations = [
        equations_from(depth, some, camera) if some else None
        for depth, some in zip(depths, references, strict=True)
    ]
    names = [
        f"{reference!r} of photo {index + 1}" for index, some in enumerate(references) for reference in some
    ]
    pooled = _pooled([one for one in equations if one is not None])
    firsts = np.cumsum([0, *(len(some) for some in references)])
    if share == "scale":
        number = np.repeat(np.arange(len(depths)), [len(some) for some in references])
        return _one_scale(pooled, number, depths, references, names, seed)
    space: Literal["depth", "disparity"] = "depth" if depths[0].is_metric else "disparity"
    fitted = fit_equations(pooled, space, form=form, references=together, names=names, seed=seed)
    parts = []
    for index, depth in enumerate(depths):
        own = slice(int(firsts[index]), int(firsts[index + 1]))
        part = replace(
            fitted,
            inliers=fitted.inliers[own],
            residuals_m=fitted.residuals_m[own],
            references=fitted.references[own],
        )
        parts.append(replace(part, quality={**fitted.quality, **picture_figures(part, depth)}))
    return parts


def _pooled(equations: Sequence[Equations]) -> Equations:
    """Put equations one after the other, with references counted on."""
    rows: list[Observations] = []
    constraints, notes, first = [], [], 0
    for one in equations:
        seen = one.observations
        rows.append(replace(seen, reference=seen.reference + first))
        constraints += [replace(bound, reference=bound.reference + first) for bound in one.constraints]
        notes += list(one.notes)
        first += 1 + max(
            [int(seen.reference.max(initial=-1)), *(bound.reference for bound in one.constraints)]
        )
    fields = {
        name: np.concatenate([getattr(some, name) for some in rows])
        for name in Observations.__dataclass_fields__
    }
    return Equations(Observations(**fields), tuple(constraints), tuple(notes))


def _one_scale(
    pooled: Equations,
    number: npt.NDArray[np.intp],
    depths: Sequence[DepthMap],
    references: Sequence[Sequence[Reference]],
    names: Sequence[str],
    seed: int,
) -> list[Calibration]:
    """Fit y = a v + b_k to relative maps; `number` is the photo of each reference."""
    seen = pooled.observations
    constraints = tuple(
        replace(bound, place=np.full_like(bound.place, number[bound.reference]))
        for bound in pooled.constraints
    )
    place = np.repeat(number[seen.reference][:, None].astype(np.float64), 2, axis=1)
    equations = replace(pooled, observations=replace(seen, place=place), constraints=constraints)
    law = _OneScale("affine", "disparity", photos=len(depths))
    system = System(equations, law)
    found = _common_slope(system, seen.value, number[seen.reference], seed)
    if found is None:
        raise refusals.undetermined(system, names, "how depth changes with the map's value")
    if not found.majority:
        raise refusals.contradictory(system, found, names, np.full(len(names), np.nan))
    enough = len(system) - len(depths) > 2
    solution = refit(system, found.parameters, robust=enough, tolerance=found.tolerance)
    check(system, solution, names)
    return [
        _part(equations, system, solution, index, depth, list(references[index]), number, names)
        for index, depth in enumerate(depths)
    ]


def _common_slope(system: System, value: _Array, photo: npt.NDArray[np.intp], seed: int) -> Consensus | None:
    """Take slopes from pairs of references of one photo, and for each the medians of the photos' shifts."""
    pairs = np.array(
        [
            (first, second)
            for number in np.unique(photo)
            for rows in [np.flatnonzero(photo == number)]
            for first, second in _some_pairs(rows, seed)
        ],
        dtype=np.intp,
    ).reshape(-1, 2)
    y = system.targets
    rise, step = np.diff(y[pairs], axis=1)[:, 0], np.diff(value[pairs], axis=1)[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = rise / step
    slopes = slopes[np.isfinite(slopes) & (slopes > 0)]
    if not len(slopes):
        return None
    shifts = [
        np.median(y[rows] - slopes[:, None] * value[rows], axis=1)
        for rows in (np.flatnonzero(photo == number) for number in range(int(photo.max()) + 1))
    ]
    return judge(system, np.stack([slopes, *shifts], axis=1))


def _some_pairs(rows: npt.NDArray[np.intp], seed: int) -> npt.NDArray[np.intp]:
    """Give (m, 2) pairs of some rows: all, or as many random ones as are enough."""
    if len(rows) * (len(rows) - 1) // 2 <= _MOST_PAIRS:
        pairs = np.stack(np.triu_indices(len(rows), 1), axis=1)
    else:
        pairs = np.random.default_rng(seed).integers(0, len(rows), (_MOST_PAIRS, 2))
    return np.asarray(rows[pairs[pairs[:, 0] != pairs[:, 1]]])


def _part(
    equations: Equations,
    system: System,
    solution: Solution,
    photo: int,
    depth: DepthMap,
    references: list[Reference],
    number: npt.NDArray[np.intp],
    names: Sequence[str],
) -> Calibration:
    """Take one photo's law, references and figures from the fit of all."""
    own = np.flatnonzero(number[system.reference] == photo)
    first = int(np.flatnonzero(number == photo)[0])
    which = [0, 1 + photo]
    rows = picked(equations, own)
    rows = replace(
        rows,
        observations=replace(rows.observations, reference=rows.observations.reference - first),
        constraints=tuple(replace(bound, reference=bound.reference - first) for bound in rows.constraints),
    )
    law = Law("affine", "disparity")
    part = replace(
        solution,
        law=law,
        parameters=solution.parameters[which],
        covariance=solution.covariance[np.ix_(which, which)],
        inlier=solution.inlier[own],
        score=solution.score[own],
        leave_one_out=solution.leave_one_out[own],
    )
    named = names[first : first + len(references)]
    return calibration_from(rows, System(rows, law), part, depth, references, named, {}, equations.notes)
