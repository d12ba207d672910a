"""`calibrate`: from a few things known in metres to the law that gives every pixel its depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from depth3d.calibrate import refusals
from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.consensus import Consensus, agree, candidates, judge
from depth3d.calibrate.equations import Equations
from depth3d.calibrate.fit_quality import thinned_map
from depth3d.calibrate.fit_report import calibration_from, lengths_of, names_of
from depth3d.calibrate.laws import Form, Space
from depth3d.calibrate.references import Reference
from depth3d.calibrate.refit import Solution
from depth3d.calibrate.rows import Law, System, thinned, without_far_places
from depth3d.calibrate.selection import choose, fit_law, law_for, start_for
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.stages import stage
from depth3d.errors import InputError

__all__ = ["FitForm", "calibrate", "check", "fit_equations"]

_Array: TypeAlias = npt.NDArray[np.float64]

FitForm: TypeAlias = Literal["auto", "scale", "affine", "tilted", "spline"]
"""A law of `laws.py`, or `auto` to let cross-validation choose."""

_LEAST_SLOPE_SIGMAS = 1.0
_LEAST_OF_SLOPE = 0.5  # that a tilt may leave of what it is without
_MUCH_LIKELIER = 3.0  # of log-likelihoods
_MOST_RELATIVE_SIGMA = 0.5
_GRID_ROWS = 60
_QUANTILES = 101


@stage("calibrating")
def calibrate(
    depth: DepthMap,
    references: Sequence[Reference],
    *,
    camera: Camera | None = None,
    form: FitForm = "auto",
    model: str | None = None,
    input_size: int | None = None,
    photo_sha256: str | None = None,
    seed: int = 0,
) -> Calibration:
    """Fit the law that turns a depth map's values into metres to what is known about the scene.

    Of a relative map that is `1/z = scale * d + shift`, which takes two references at different distances; of
    a metric one `z = scale * z_map`, which takes one. More references show which of them are wrong, how
    good the map is, and whether a richer law pays. The same input gives the same result.

    Args:
        depth: The map of one photo, relative or metric.
        references: What is known: `Anchor`, `RangeAnchor`, `KnownLength`, `KnownSize`, `FarPoint`,
            `CameraHeight`, `DepthSamples`, in any mixture; pixels are those of the photo.
        camera: The photo's; needed by all but `Anchor`, `FarPoint` and `DepthSamples`.
        form: `auto` chooses by cross-validation among the laws that there are references enough for:
            `scale` (metric maps only), `affine`, `tilted` from 15, `spline` from 50. The others ask for that.
        model: Name of the network that made the map, to be kept.
        input_size: Side in pixels at which it saw the photo, to be kept.
        photo_sha256: Hash of the photo's pixels, to be kept.
        seed: Of the random choices that are made among many references.

    Returns:
        The calibration, with its covariance, what each reference says against it, and notes. `quality` has:
        `n_references`, `n_used`, `n_rejected`, `condition`; `leave_one_out_rel`, the mean relative error of z
        at references that the fit did not see (None below three); `coverage`, the share of the map's values,
        without the outermost percents, that the references span; `extrapolated`, the share of known pixels
        whose values are beyond theirs by more than a tenth of that span; `invalid`, that of pixels without a
        positive depth; `cv_rel`, the error of each law that was tried at references left out.

    Raises:
        InputError: Nothing is known, or too little, or the references are at one distance, contradict one
            another or the map, or leave two solutions; the sentence says what to measure next. A `form`
            that is none, or that the references are too few for.
    """
    from depth3d.calibrate.from_references import equations_from

    references = tuple(references)
    if not references:
        raise refusals.no_reference()
    equations = equations_from(depth, references, camera)
    fitted = fit_equations(
        equations,
        "depth" if depth.is_metric else "disparity",
        form=form,
        depth=depth,
        references=references,
        seed=seed,
    )
    return replace(fitted, model=model, input_size=input_size, photo_sha256=photo_sha256)


def fit_equations(
    equations: Equations,
    space: Space,
    *,
    form: FitForm = "auto",
    depth: DepthMap | None = None,
    references: Sequence[Reference] = (),
    names: Sequence[str] = (),
    seed: int = 0,
) -> Calibration:
    """Fit a law to equations, wherever they come from.

    Args:
        equations: At least as many as the law has parameters.
        space: Whether the map's values are disparities or z.
        form: As for `calibrate`.
        depth: The map, for the figures that need all of it; None leaves them out.
        references: What the equations came from, in their numbering, for messages and the report.
        names: What to call them in messages, if not by their own words.
        seed: As for `calibrate`.

    Raises:
        InputError: As `calibrate`.
    """
    if form not in get_args(FitForm):
        raise InputError(f"form must be one of {get_args(FitForm)}, got {form!r}")
    notes = list(equations.notes)
    if space == "depth":
        equations, far = without_far_places(equations)
        if far:
            notes.append(f"{far} far places say nothing about a metric map's scale; they were left out")
    names = names or names_of(equations, references)
    lengths = lengths_of(references, len(names))
    picture: _Array | None = None
    if depth is not None and depth.valid.any():
        thin = thinned_map(depth)
        known = thin.values[thin.valid].astype(np.float64)
        if len(known):
            picture = np.asarray(np.quantile(known, np.linspace(0, 1, _QUANTILES)), dtype=np.float64)
    starts, tolerance = _starts(equations, space, form, names, lengths, seed, picture)
    if form == "auto":
        choice = choose(equations, space, starts, tolerance, seed)
        law, errors = choice.law, choice.errors_rel
    else:
        law, errors = law_for(form, space, equations), {}
    system = System(equations, law)
    solution = fit_law(equations, law, start_for(law, starts), tolerance)
    plain = start_for(Law("affine", space), starts)
    if form == "auto" and law.form == "tilted" and solution.parameters[0] < _LEAST_OF_SLOPE * plain[0]:
        # The tilt explains the scene, and not the map's error.
        law = Law("affine", space)
        system = System(equations, law)
        solution = fit_law(equations, law, plain, tolerance)
    check(system, solution, names)
    return calibration_from(equations, system, solution, depth, references, names, errors, notes)


def _starts(
    equations: Equations,
    space: Space,
    form: FitForm,
    names: Sequence[str],
    lengths: _Array,
    seed: int,
    picture: _Array | None,
) -> tuple[dict[Form, _Array], float]:
    """Find the law that most references agree on, in the simplest form that may be asked for."""
    simple: list[Form] = ["affine"]
    if form == "scale" or (form == "auto" and space == "depth"):
        simple = ["scale"]
    total = len(equations.observations) + len(equations.constraints)
    needed = {"scale": 1, "affine": 2, "tilted": 4, "spline": 4}.get(form, 1 if simple[0] == "scale" else 2)
    if total == 0:
        raise refusals.no_reference()
    if total < needed:
        if needed == 2 and space == "disparity":
            raise refusals.one_reference(names[0])
        raise InputError(
            f"the form {form!r} has {needed} parameters and there are {total} references; add some, or leave "
            "the form to 'auto'"
        )
    if simple == ["scale"] and form == "auto" and total >= 5:
        simple.append("affine")
    starts: dict[Form, _Array] = {}
    tolerance, refusal = 1.0, None
    for base in simple:
        system = System(equations, Law(base, space))
        try:
            found = _consensus(equations, system, names, lengths, seed, picture)
        except InputError as error:
            refusal = refusal or error
            continue
        starts[base], tolerance = found.parameters, min(tolerance, found.tolerance)
    if not starts:
        assert refusal is not None
        raise refusal
    return starts, tolerance


def _consensus(
    equations: Equations,
    system: System,
    names: Sequence[str],
    lengths: _Array,
    seed: int,
    picture: _Array | None,
) -> Consensus:
    if system.law.form == "affine":
        value = system.places[:, 0]
        if np.ptp(value) <= 1e-7 * np.abs(value).max():
            raise refusals.undetermined(system, names, "scale from shift")
    found = agree(system, seed, picture=picture)
    if equations.constraints:
        solutions = candidates(thinned(equations, _GRID_ROWS), system.law.form, system.law.space)
        if len(solutions) > 1:
            raise refusals.ambiguous(system, solutions)
        if solutions:
            known = [] if found is None else [found.parameters]
            found = judge(system, np.stack([*solutions, *known]), picture)
    against = agree(System(equations, Law("affine", system.law.space)), seed, rising=False)
    enough = len(system.targets) >= (2 if system.law.form == "affine" else 3)
    if enough and against is not None and against.majority:
        agreed = found is not None and found.majority
        if not agreed or (found and against.evidence > found.evidence + _MUCH_LIKELIER):
            raise refusals.falling(system, names, equations.observations.value)
    if found is None:
        raise refusals.undetermined(system, names, "how depth changes with the map's value")
    if not found.majority:
        raise refusals.contradictory(system, found, names, lengths)
    return found


def check(system: System, solution: Solution, names: Sequence[str]) -> None:
    """Refuse a law whose slope is not known to rise, or that says next to nothing at the references."""
    law, parameters = solution.law, solution.parameters
    if law.form == "spline":
        return
    slope, sigma = float(parameters[0]), float(np.sqrt(solution.covariance[0, 0]))
    if law.form != "scale" and slope < _LEAST_SLOPE_SIGMAS * sigma:
        raise refusals.undetermined(system, names, "how depth changes with the map's value")
    y = system.places @ parameters
    spread = np.sqrt(np.einsum("ni,ij,nj->n", system.places, solution.covariance, system.places))
    if np.min(spread / np.maximum(np.abs(y), 1e-12)) > _MOST_RELATIVE_SIGMA or slope <= 0:
        raise refusals.undetermined(system, names, "any distance to better than a half")
