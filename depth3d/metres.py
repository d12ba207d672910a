"""From a depth map as it came to metres: by a saved calibration, by references, or by an assumed range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from depth3d.calibrate.assumed_range import assume_range
from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.references import Reference
from depth3d.core.depth import DepthMap
from depth3d.core.stages import stage
from depth3d.errors import InputError, NeedsMetricError
from depth3d.photo_depth import PhotoDepth

__all__ = ["Metres", "check_belongs", "fit_sentence", "to_metres"]


@dataclass(frozen=True, slots=True, eq=False)
class Metres:
    """A metric map, and what made it metric.

    Attributes:
        depth: Metric.
        calibration: The law that was applied; None where the map had metres already.
        notes: One sentence for each thing to know before trusting it.
    """

    depth: DepthMap
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()


@stage("calibrating")
def to_metres(
    photo: PhotoDepth,
    *,
    calibration: Calibration | None = None,
    references: Sequence[Reference] = (),
    assume_range_m: tuple[float, float] | None = None,
    focal_correct: bool = False,
    force: bool = False,
) -> Metres:
    """Give the depth of a photo metres.

    Args:
        photo: The photo and its depth as it came.
        calibration: Of this very photo, network and input size, or of a fixed camera.
        references: What is known about the scene, instead of a calibration, which is fitted here.
            Metric maps are scaled to it.
        assume_range_m: (near, far) in metres for a relative map with neither.
        focal_correct: Scale the map of a metric network for the photo's focal length (`focal_correction`).
        force: Apply the calibration even to the map of another network or input size.

    Raises:
        NeedsMetricError: The map is relative, and nothing gives it metres.
        InputError: Both a calibration and references, a calibration of something else, or references that
            do not fit.
    """
    references = tuple(references)
    if calibration is not None and references:
        raise InputError(
            "a calibration and references (anchors) would each fix the metres; give one of them, or make a "
            "new calibration from the references with depth3d calibrate"
        )
    depth = photo.depth
    if focal_correct:
        if calibration is not None or references:
            raise InputError(
                "a focal correction guesses the scale that a calibration or references measure; leave "
                "focal_correct (--focal-correct) out"
            )
        calibration = _focal_correction(photo)
        return Metres(calibration.apply(depth), calibration, calibration.notes)
    if references:
        from depth3d.calibrate.fit import calibrate

        fitted = calibrate(
            depth,
            references,
            camera=photo.camera,
            model=photo.model,
            input_size=photo.input_size,
            photo_sha256=photo.sha256,
        )
        return Metres(fitted.apply(depth), fitted, (fit_sentence(fitted), *fitted.notes))
    if calibration is not None:
        notes = check_belongs(calibration, photo, force=force)
        return Metres(calibration.apply(depth), calibration, notes)
    if depth.is_metric:
        return Metres(depth)
    if assume_range_m is None:
        raise NeedsMetricError(
            f"{photo.source} gives relative depth, which has no metres; pass a calibration or references, "
            "use a metric model (metric-indoor-small), or assume_range_m=(near, far)"
        )
    assumed = assume_range(depth, *assume_range_m)
    if photo.model is not None:
        assumed = replace(assumed, model=photo.model, input_size=photo.input_size)
    guess = (
        f"depth is relative: assumed a range of {assume_range_m[0]:g} to {assume_range_m[1]:g} m, so "
        "distances are a guess; give two measured distances (--anchor X,Y,METRES) or a calibration, or use "
        "a metric model for real ones"
    )
    return Metres(assumed.apply(depth), assumed, (guess,))


def _focal_correction(photo: PhotoDepth) -> Calibration:
    from depth3d.calibrate.focal_correction import focal_correction

    if not photo.depth.is_metric or photo.model is None:
        raise InputError(
            f"a focal correction belongs to the depth of a metric model, and {photo.source} is none; use "
            "one, such as metric-indoor-small, or leave focal_correct (--focal-correct) out"
        )
    if photo.camera.source == "assumed":
        raise InputError(
            "a focal correction needs the photo's focal length, which is unknown; give --focal-35mm, "
            "--fov-x-deg or --camera"
        )
    return focal_correction(photo.model, photo.camera, input_size=photo.input_size or 518)


def check_belongs(calibration: Calibration, photo: PhotoDepth, *, force: bool = False) -> tuple[str, ...]:
    """Refuse a calibration of another network, and say what else speaks against it.

    Scale and shift belong to what a network makes of one photo at one input size.

    Args:
        calibration: What is to be applied.
        photo: What to.
        force: Say it in a note instead of refusing.

    Returns:
        Notes; empty where it is the same photo, network and size, or where nobody can tell.

    Raises:
        InputError: Another kind of map; without `force` also another network or input size.
    """
    if photo.depth.is_metric and calibration.space == "disparity":
        raise InputError(f"{photo.source} gives metres already; leave the calibration out")
    if not photo.depth.is_metric and calibration.space == "depth":
        raise InputError(
            f"the calibration scales metric depth and {photo.source} gives relative depth; use the model "
            f"that it was made with ({calibration.model or 'a metric one'}), or calibrate again"
        )
    notes = []
    made, given = _made_by(calibration), _made_by(photo)
    other_model = None not in (calibration.model, photo.model) and calibration.model != photo.model
    other_size = None not in (calibration.input_size, photo.input_size) and (
        calibration.input_size != photo.input_size
    )
    if other_model or other_size:
        if not force:
            raise InputError(
                f"the calibration belongs to depth by {made} and this depth is by {given}, for which scale "
                "and shift are different ones; calibrate again, use that model and input size, or insist "
                "with --force (force=True)"
            )
        notes.append(f"the calibration belongs to depth by {made}, not by {given}: applied by force")
    elif calibration.model is not None and photo.model is None:
        notes.append(f"{photo.source} does not tell what made it; the calibration belongs to depth by {made}")
    if None not in (calibration.photo_sha256, sha256 := photo.sha256) and calibration.photo_sha256 != sha256:
        notes.append(
            "the calibration was made on another photo; its metres hold here only if camera and scene stayed "
            "as they were"
        )
    return tuple(notes)


def fit_sentence(calibration: Calibration) -> str:
    """Say what came out of a fit, in one sentence."""
    used, total = sum(calibration.inliers), len(calibration.inliers)
    law = "1/z = {:.5g} d {} {:.5g}" if calibration.space == "disparity" else "z = {:.5g} z_map {} {:.5g}"
    sign = "-" if calibration.shift < 0 else "+"
    text = law.format(calibration.scale, sign, abs(calibration.shift))
    if calibration.form == "scale":
        text = text.partition(f" {sign} ")[0]
    bent = f" ({calibration.form})" if calibration.form in ("tilted", "spline") else ""
    return (
        f"metres from {used} of {total} reference{'s' * (total != 1)}: {text}{bent}; the map itself is good "
        f"to about {100 * calibration.misfit_rel:.2g} % of a distance"
    )


def _made_by(thing: Calibration | PhotoDepth) -> str:
    size = "" if thing.input_size is None else f" at {thing.input_size} px"
    return f"{thing.model or 'an unknown network'}{size}"
