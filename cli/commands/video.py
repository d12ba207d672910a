"""`depth3d video`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING, Any

import click

from ..console import note, opening, progress, report
from ..film_effects import EFFECTS, check_effect, chosen, effect_of, effect_options
from ..many import many_photos
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
from ..sections import SectionedCommand, section
from ..types import FrameSize, NumberPair
from ..video_options import FILM_HELP, encoding_options

if TYPE_CHECKING:
    from depth3d.estimate.steady_depth import TemporalMode
    from depth3d.estimate.video_depth import VideoDepth
    from depth3d.io.video_input import VideoFile

_stretch_options = section(
    "Film",
    click.option(
        "--start", "start_s", type=click.FloatRange(0), default=0.0, metavar="S", help="Second to start at."
    ),
    click.option("--end", "end_s", type=click.FloatRange(0), metavar="S", help="Second to end at."),
    click.option("--max-frames", type=click.IntRange(1), metavar="N", help="Stop after so many frames."),
    click.option(
        "--size", type=FrameSize(), metavar="WxH|SIDE",
        help="Make the film smaller first: the box that it shall fit into, or its longer side.",
    ),
    click.option(
        "--fps", type=click.FloatRange(0, 1000, min_open=True), metavar="RATE",
        help="Frames a second of a folder of pictures or a webcam; films have their own.",
    ),
    chosen(encoding_options, "codec", "quality", "loops"),
    click.option("--no-sound", is_flag=True, help="Leave the sound out."),
)  # fmt: skip

_time_options = section(
    "Steadiness",
    click.option(
        "--temporal", type=click.Choice(["off", "causal", "offline"]),
        help="How depth is kept from flickering: not at all, by the frames before, or by those after, too.  "
        "[default: offline; causal for webcams, off with --depth]",
    ),
    click.option(
        "--range", "range_", type=NumberPair("NEAR", "FAR"), metavar="NEAR,FAR",
        help="Fix the range that colours, blur and parallax go by: metres, or disparities of relative "
        "models.  [default: it follows the film, slowly]",
    ),
)  # fmt: skip


def _suffixes() -> tuple[str, ...]:
    from depth3d.io.video import VIDEO_SUFFIXES

    return VIDEO_SUFFIXES


def _name(params: dict[str, Any]) -> str:
    """Name a film's result in a folder: clouds are many files, 16 bits go into Matroska."""
    of_numbers = params["bits"] == 16 or params["codec"] == "ffv1"
    suffix = "" if params["effect"] == "cloud" else ".mkv" if of_numbers else ".mp4"
    return f"{{stem}}_{params['effect']}{suffix}"


@click.command(
    name="video", cls=SectionedCommand, short_help="Make a film of a film: depth, bokeh, stereo ..."
)
@many_photos(_name, suffixes=_suffixes, takes_folder=lambda params: True, films=True, metavar="FILM...")
@output_option(f"The film: {FILM_HELP} or clouds; for many films a folder, or 'out/{{stem}}.webm'.")
@click.option("--effect", type=click.Choice(EFFECTS), default="depth", help="What to make of each frame.")
@overwrite_option
@_stretch_options
@_time_options
@effect_options
@section(
    "Depth",
    click.option(
        "--depth",
        type=click.Path(path_type=Path),
        metavar="FILM|FOLDER",
        help="Use this depth and skip the network: numbers that --bits 16 wrote, or a folder with a depth "
        "file a frame.",
    ),
)
@chosen(depth_options, "depth_kind", "png_scale")
@network_options
@section(
    "Network",
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        help="Frames that share one pass.  [default: as memory allows]",
    ),
)
@camera_options
@json_option
@verbosity_options
def command(
    photo: Path,
    output: Path,
    effect: str,
    overwrite: bool,
    as_json: bool,
    batch_size: int | None,
    **options: Any,
) -> None:
    """Make a film of FILM: its depth, or blurred, in 3D, with a moving camera, as point clouds.

    FILM is a film, a GIF, a folder of pictures, or the number of a webcam, which Ctrl-C stops; or many
    films: folders, globs, @lists. Frames keep their times, and the film its sound. Memory does not depend on
    the film's length.

    \b
    depth3d video clip.mp4 -o depth.mp4
    depth3d video clip.mp4 -o numbers.mkv --bits 16
    depth3d video clip.mp4 -o blurred.mp4 --effect bokeh --focus 320,410 --track
    depth3d video clip.mp4 -o clip_sbs.mp4 --effect stereo --depth numbers.mkv
    depth3d video clip.mp4 -o orbit.mp4 --effect parallax --start 5 --end 15 --size 1280
    depth3d video clip.mp4 -o clouds/ --effect cloud --every 10 --model metric-indoor-small
    depth3d video 'clips/*.mp4' -o blurred/ --effect bokeh --resume
    """
    from depth3d.io.photo_camera import camera_for
    from depth3d.io.video_input import open_video
    from depth3d.photo_depth import assumed_camera_note
    from depth3d.video_files import check_conversion, convert_video

    check_effect(effect, options)
    device = options["device"]
    opened: Path | int = int(str(photo)) if str(photo).isdecimal() and not photo.exists() else photo
    named = {name: options[name] for name in ("start_s", "end_s", "max_frames", "size", "fps")}
    written = {name: options[name] for name in ("quality", "loops")}
    opening()
    with open_video(opened, **named) as video:
        of_camera = {name: options[name] for name in ("camera_file", "focal_px", "focal_35mm", "fov_x_deg")}
        camera = camera_for(video.size_wh, **of_camera)
        made_by = effect_of(effect, {**options, "device": device}, camera)
        codec = check_conversion(
            video.path, output, made_by, codec=options["codec"], **written, overwrite=overwrite
        )
        depth = _depth(video, options, batch_size, is_live=video.is_live)
        if str(camera.source) == "assumed" and (
            effect == "cloud" or (effect == "bokeh" and depth.kind == "metric")
        ):
            note(assumed_camera_note(camera, "film"))
        with (
            _stop_at_interrupt(wanted=video.is_live) as until,
            progress("frames", video.frame_count or 0, rate="frames/s") as advance,
        ):
            made = convert_video(
                video,
                output,
                made_by,
                depth=depth,
                camera=camera,
                span=_span(options["range_"], depth),
                codec=codec,
                **written,
                sound=not options["no_sound"],
                overwrite=overwrite,
                until=until,
                on_frame=advance,
            )
        for line in video.notes:
            note(line)
        if made.facts.get("clipped_pixels"):
            note(
                f"{made.facts['clipped_pixels']} pixels were nearer or farther than 16 bits hold, and clipped"
            )
        facts = {
            "output": output,
            "effect": effect,
            "frames": made.frames,
            "seconds": round(made.seconds, 3),
            "frames_per_second": made.frames / max(made.seconds, 1e-9),
            "size_wh": video.size_wh,
            "files": made.files,
            "depth": depth.name,
            "kind": str(depth.kind),
            "temporal": getattr(depth, "mode", "off"),
            **made.facts,
            "notes": video.notes,
        }
    report(
        facts, f"{output}: {made.frames} frames, {facts['frames_per_second']:.2g} a second", as_json=as_json
    )


def _depth(video: VideoFile, options: dict[str, Any], batch_size: int | None, *, is_live: bool) -> VideoDepth:
    """Choose where depth comes from, and how it is kept steady."""
    import depth3d as d3
    from depth3d import verbs

    network = network_of(options)
    source: VideoDepth
    if options["depth"]:
        source = d3.RecordedDepth(
            options["depth"],
            start_s=video.start_s,
            kind=options["depth_kind"],
            png_scale=options["png_scale"],
        )
    else:
        source = verbs.loaded_estimator(**network, batch_size=batch_size)
    mode: TemporalMode = options["temporal"] or (
        "off" if options["depth"] else "causal" if is_live else "offline"
    )
    return source if mode == "off" else d3.SteadyDepth(source, mode=mode)


def _span(range_: tuple[float, float] | None, depth: VideoDepth) -> tuple[float, float] | None:
    """Turn --range into (farthest, nearest) disparity."""
    from depth3d.errors import InputError

    if range_ is None:
        return None
    near, far = range_
    if depth.kind == "metric":
        if not 0 < near < far:
            raise InputError(
                f"--range NEAR,FAR of metric depth is in metres, 0 < NEAR < FAR, got {near:g},{far:g}"
            )
        return 1 / far, 1 / near
    if not far < near:
        raise InputError(
            f"--range NEAR,FAR of relative depth is in disparities, of which the nearer is the larger, got "
            f"{near:g},{far:g}"
        )
    return far, near


@contextmanager
def _stop_at_interrupt(*, wanted: bool) -> Iterator[Event]:
    """Let the first Ctrl-C end a film that has no end of its own; the second one stops as usual."""
    until = Event()

    def stop(number: int, frame: object) -> None:
        until.set()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    wanted = wanted and current_thread() is main_thread()  # no other thread may say what a signal does
    if wanted:
        signal.signal(signal.SIGINT, stop)
    try:
        yield until
    finally:
        if wanted:
            signal.signal(signal.SIGINT, before)
