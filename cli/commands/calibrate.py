"""`depth3d calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import note, print_json, print_rows, progress
from ..many import found_files
from ..options import (
    camera_options,
    depth_options,
    json_option,
    network_of,
    network_options,
    output_option,
    overwrite_option,
    verbosity_options,
)
from ..references import reference_options, references_of
from ..scenes import check_inputs_kept

if TYPE_CHECKING:
    from depth3d.calibrate.calibration import Calibration
    from depth3d.calibrate.fit import FitForm
    from depth3d.calibrate.references import Reference
    from depth3d.calibrate.shared_fit import Share
    from depth3d.photo_depth import PhotoDepth


@click.command(
    name="calibrate", short_help="Turn relative depth into metres by what is known about the scene."
)
@click.argument("names", metavar="PHOTO|DEPTH...", nargs=-1, required=True)
@output_option("The calibration, a .json file; with --share scale a directory for one of each photo.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="HTML|PNG",
    help="Show the references, the law, how sure each pixel is, and a table, in one file.",
)
@overwrite_option
@reference_options
@click.option(
    "--form",
    type=click.Choice(["auto", "scale", "affine", "tilted", "spline"]),
    default="auto",
    help="The law. auto lets references that are left out decide: affine, from 15 references tilted, from 50 "
    "a spline; scale for metric depth.",
)
@click.option(
    "--share",
    type=click.Choice(["all", "scale"]),
    default="all",
    help="What several photos have in common: the whole law, as with a fixed camera, or the scale alone. "
    "Pixels that are given count for each of them; markers are looked for in each.",
)
@click.option("--seed", type=int, default=0, help="Of the random choices among many references.")
@depth_options
@network_options
@camera_options
@json_option
@verbosity_options
def command(
    names: tuple[str, ...],
    output: Path,
    report: Path | None,
    overwrite: bool,
    form: FitForm,
    share: Share,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the law that gives the depth of PHOTO metres, from anything that is known about the scene.

    Relative depth needs two references at different distances, metric depth one; more show which of them are
    wrong, and how good the map is. They can be mixed freely. Pixels are those of the upright photo, the first
    one's centre at 0.5,0.5. A depth file alone will do where nothing is looked for in the photo.

    \b
    depth3d calibrate photo.jpg --anchor 320,410,0.82 --anchor 95,60,2.4 -o calibration.json
    depth3d calibrate photo.jpg --anchor-range 320,410,0.85 --far 500,20 -o calibration.json --report fit.html
    depth3d calibrate photo.jpg --marker-m 0.05 --camera camera.json -o calibration.json
    depth3d calibrate rgb.png --reference-depth lidar.png --reference-png-scale 256 -o calibration.json
    """  # fmt: skip
    from depth3d import verbs
    from depth3d.calibrate.fit import calibrate
    from depth3d.calibration_report import check_report_suffix, save_report
    from depth3d.errors import InputError
    from depth3d.io.depth_files import DEPTH_SUFFIXES
    from depth3d.io.inputs import PHOTO_SUFFIXES

    photos = found_files(names, suffixes=(*PHOTO_SUFFIXES, *DEPTH_SUFFIXES), kind=None)
    if report:
        check_report_suffix(report)
        verbs.check_output(report, photos[0], overwrite=overwrite)
        if len(photos) > 1:
            raise InputError(f"--report shows one photo, and there are {len(photos)}; leave it out")
    outputs = _outputs(photos, output, share, overwrite=overwrite)
    network = network_of(options)
    opened, references = _read(photos, options, network)
    if len(photos) == 1:
        photo = opened[0]
        fits = [
            calibrate(
                photo.depth, references[0], camera=photo.camera, form=form, model=photo.model,
                input_size=photo.input_size, photo_sha256=photo.sha256, seed=seed,
            )
        ]  # fmt: skip
    else:
        fits = _together(opened, references, form, share, seed)
    for path, fit in zip(outputs, fits, strict=False):
        verbs.save(fit, path, overwrite=overwrite)
    if report:
        save_report(report, opened[0], references[0], fits[0], overwrite=overwrite)
    shown = list(zip(outputs, fits, opened, references, strict=False))
    if len(shown) == 1 and len(photos) > 1:
        shown = [(outputs[0], fits[0], opened[0], [one for some in references for one in some])]
    if as_json:
        found = [_as_dict(*one, report) for one in shown]
        print_json(found[0] if len(found) == 1 else found)
        return
    for one in shown:
        _print(*one)


def _outputs(photos: tuple[Path, ...], output: Path, share: Share, *, overwrite: bool) -> list[Path]:
    """Decide which files will be written, and refuse before any work what can't be."""
    from depth3d import verbs
    from depth3d.errors import InputError, UnsupportedFormatError

    if len(photos) == 1 or share == "all":
        if output.suffix.lower() != ".json":
            raise UnsupportedFormatError(f"{output} must end in .json; calibrations are JSON files")
        outputs = [output]
    else:
        if output.suffix:
            raise InputError(
                f"--share scale writes a calibration for each of {len(photos)} photos; give a directory, not "
                f"{output}"
            )
        outputs = [output / f"{photo.stem}_calibration.json" for photo in photos]
        if len(set(outputs)) < len(outputs):
            raise InputError("two photos of the same name would write the same file; rename one of them")
        verbs.make_directory(output)
    for path in outputs:
        verbs.check_output(path, photos[0], overwrite=overwrite)
        check_inputs_kept(path)
    return outputs


def _read(
    photos: tuple[Path, ...], options: dict[str, Any], network: dict[str, Any]
) -> tuple[list[PhotoDepth], list[list[Reference]]]:
    """Read or estimate the depth of each photo, and gather its references."""
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.photo_depth import CameraOptions, is_depth_file, read_depth_alone, read_photo_depth

    depth, kind, png_scale = (options[name] for name in ("depth", "depth_kind", "png_scale"))
    camera = CameraOptions(
        **{name: options[name] for name in ("camera_file", "focal_px", "focal_35mm", "fov_x_deg")}
    )
    if depth and len(photos) > 1:
        raise InputError(f"--depth belongs to one photo, and there are {len(photos)}; leave it out")
    opened: list[PhotoDepth] = []
    references: list[list[Reference]] = []
    with progress("Reading", len(photos)) as advance:
        for path in photos:
            if depth is None and (kind or png_scale or is_depth_file(path)):
                note(f"{path} is a depth file: took its pixels for those of the photo")
                photo = read_depth_alone(path, depth_kind=kind, png_scale=png_scale, camera=camera)
            else:
                photo = read_photo_depth(
                    path,
                    depth=depth,
                    depth_kind=kind,
                    png_scale=png_scale,
                    camera=camera,
                    estimator=None if depth else verbs.loaded_estimator(**network),
                )
            for line in photo.notes:
                note(line)
            opened.append(photo)
            references.append(references_of(options, photo, path, network))
            advance(1)
    return opened, references


def _together(
    opened: list[PhotoDepth], references: list[list[Reference]], form: FitForm, share: Share, seed: int
) -> list[Calibration]:
    """Fit several photos; what they share all of becomes one calibration with the references of all."""
    from dataclasses import replace

    from depth3d.calibrate.shared_fit import calibrate_many

    first = opened[0]
    depths = [photo.depth for photo in opened]
    fits = calibrate_many(depths, references, camera=first.camera, share=share, form=form, seed=seed)
    made: dict[str, Any] = {"model": first.model, "input_size": first.input_size}
    if share == "scale":
        return [
            replace(fit, photo_sha256=photo.sha256, **made) for fit, photo in zip(fits, opened, strict=True)
        ]
    together: dict[str, Any] = {
        name: tuple(value for fit in fits for value in getattr(fit, name))
        for name in ("inliers", "residuals_m", "references")
    }
    return [replace(fits[0], **together, **made)]


def _print(path: Path, fit: Calibration, photo: PhotoDepth, references: list[Reference]) -> None:
    from depth3d.calibration_report import law_lines, next_to_measure, reference_rows

    for line in fit.notes:
        note(line)
    print_rows(law_lines(fit))
    click.echo()
    print_rows([row.cells for row in reference_rows(fit, references)])
    following = next_to_measure(fit, photo)
    if following is not None:
        click.echo(f"\nnext: {following.sentence}")
    click.echo(f"{path}: {fit!r}")


def _as_dict(
    path: Path, fit: Calibration, photo: PhotoDepth, references: list[Reference], report: Path | None
) -> dict[str, Any]:
    from depth3d.calibration_report import next_to_measure

    following = next_to_measure(fit, photo)
    fields = {name: getattr(fit, name) for name in fit.__dataclass_fields__}
    fields["references"] = [dict(reference) for reference in fit.references]
    fields["quality"] = dict(fit.quality)
    after = None
    if following is not None:
        after = {name: getattr(following, name) for name in following.__dataclass_fields__}
    return {"output": path, "report": report, **fields, "notes": [*photo.notes, *fit.notes], "next": after}
