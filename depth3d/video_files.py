"""`video_frames` and `convert_video`: films in, films with an effect out, in bounded memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from depth3d.accel.ahead import ahead, mapped_ahead
from depth3d.accel.threads import fewer_threads, usable_cpus
from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.stages import stage, staged
from depth3d.depth_films import Depth16Film, save_scale, scale_path
from depth3d.errors import FileError, InputError, OutputExistsError, UnsupportedFormatError
from depth3d.io.atomic import check_writable
from depth3d.io.photo_camera import camera_for
from depth3d.io.video_frame import VideoFrame
from depth3d.verbs import check_output, make_directory, save
from depth3d.video_clouds import CloudFilm
from depth3d.video_effects import FilmEffect, Job, Made
from depth3d.video_moments import FilmFacts, Moment, moments

if TYPE_CHECKING:
    from depth3d.estimate.video_depth import VideoDepth
    from depth3d.io.video_input import VideoFile

__all__ = ["ConvertedVideo", "check_conversion", "convert_video", "video_frames"]

_MOST_THREADS = 4
_WITH_SOUND = (".mp4", ".m4v", ".mov", ".mkv", ".webm")


@dataclass(frozen=True, slots=True, eq=False)
class ConvertedVideo:
    """What was made of a film.

    Attributes:
        frames: How many were read.
        seconds: How long it took.
        facts: What the effect found out, in JSON types: focus, scale, clipped pixels.
        files: What was written: the film or its folder, and the scale of depth as numbers.
    """

    frames: int
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def video_frames(
    video: VideoFile,
    effect: FilmEffect,
    *,
    depth: VideoDepth,
    camera: Camera | None = None,
    span: tuple[float, float] | None = None,
    until: Event | None = None,
    threads: int | None = None,
    facts: dict[str, Any] | None = None,
) -> Iterator[VideoFrame]:
    """Read a film, estimate its depth, and make a picture of each frame.

    Reading, the network and the effect run in threads of their own, each a few frames ahead of the next, so
    that memory does not depend on the film's length.

    Args:
        video: From `open_video`.
        effect: What to make: `DepthFilm`, `Depth16Film`, `BokehFilm`, `StereoFilm`, `ParallaxFilm`.
        depth: Gives a map for each frame: a `DepthEstimator`, a `SteadyDepth`, a `RecordedDepth`.
        camera: Intrinsics of the frames; None assumes 60 degrees across the longer side.
        span: (farthest, nearest) disparity that pictures and effects go by, in the maps' unit, or in 1/m;
            None follows the film (`FilmRange`).
        until: Reading ends, as if the film did, when this is set.
        threads: In which the effect runs; None is one a processor, at most four, and one if it is light.
        facts: Where the effect puts what it found out.

    Returns:
        A generator of frames with their times and numbers, and with the picture that was made of each: (H, W,
        3) uint8, or (H, W) uint16 of `Depth16Film`. Close it to stop early.

    Raises:
        InputError: The effect makes no pictures, or can't be had of this film.
        Depth3DError: What reading, the network or the effect raise, after the frames before.
    """
    if isinstance(effect, CloudFilm):
        raise InputError("clouds are no pictures; write them to a folder with convert_video()")
    return _pictures(_made(video, effect, depth, camera, span, until, threads, facts))


def convert_video(
    video: VideoFile,
    output: str | Path,
    effect: FilmEffect,
    *,
    depth: VideoDepth,
    camera: Camera | None = None,
    span: tuple[float, float] | None = None,
    codec: str = "auto",
    quality: int | None = None,
    loops: int | None = None,
    sound: bool = True,
    overwrite: bool = True,
    until: Event | None = None,
    threads: int | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> ConvertedVideo:
    """Make a film of a film: depth, bokeh, stereo, parallax; or a folder of clouds.

    The frames keep their times, and the film its sound. It appears whole or not at all, and so do the
    pictures of a folder; clouds appear one by one, each whole.

    Args:
        video: From `open_video`; where it starts, ends and its size are said there.
        output: The film (`save_video`), a folder for pictures, or for clouds `frame_00001.ply` and on.
        effect: What to make of each frame.
        depth: As for `video_frames`, and so are the next two.
        camera: See there.
        span: See there.
        codec: As for `save_video`, and so are the next two. Depth as numbers needs `ffv1` or `png`, which are
            its own in .mkv and in a folder.
        quality: See there.
        loops: See there.
        sound: Whether to copy the sound, where the file can hold it.
        overwrite: Whether what is there may be replaced.
        until: As for `video_frames`: what was made until then becomes a whole film.
        threads: As for `video_frames`.
        on_frame: Called with 1 after each frame.

    Returns:
        How many frames, how long it took, and what was found out.

    Raises:
        InputError: As `video_frames` and `save_video`, or the output is the film itself.
        FileError: It can't be written.
    """
    output, started = Path(output), time.monotonic()
    codec = check_conversion(
        video.path, output, effect, codec=codec, quality=quality, loops=loops, overwrite=overwrite
    )
    facts: dict[str, Any] = {}
    threads = _threads_for(effect) if threads is None else threads
    made = _made(video, effect, depth, camera, span, until, threads, facts)
    if isinstance(effect, CloudFilm):
        with fewer_threads(threads), closing(made):
            count = _save_clouds(made, make_directory(output), on_frame)
        return ConvertedVideo(count, time.monotonic() - started, facts, (output,))
    from depth3d.io.video import save_video

    heard = video if sound and video.has_sound and output.suffix.lower() in _WITH_SOUND else None
    pictures = ahead(_pictures(made))
    # Closing them closes all stages, each where it runs.
    with fewer_threads(threads), closing(pictures):  # type: ignore[type-var]
        count = save_video(
            pictures,
            output,
            codec=codec,
            quality=quality,
            loops=loops,
            overwrite=overwrite,
            sound=heard,
            on_frame=on_frame,
        )
    files: tuple[Path, ...] = (output,)
    if isinstance(effect, Depth16Film):
        told = {"frames": count, "fps": float(video.fps), "start_s": video.start_s, "depth": depth.name}
        files = (output, save_scale(output, {**facts, **told}))
    return ConvertedVideo(count, time.monotonic() - started, facts, files)


def check_conversion(
    source: str | Path,
    output: str | Path,
    effect: FilmEffect,
    *,
    codec: str = "auto",
    quality: int | None = None,
    loops: int | None = None,
    overwrite: bool,
) -> str:
    """Check, before any long work, that `convert_video` can write there.

    Returns:
        The codec; depth as numbers has one of its own.

    Raises:
        InputError: The output is the film itself, or codec and effect don't go together.
        FileError: It can't be written, or exists and `overwrite` is False.
    """
    from depth3d.io.video import check_video

    source, output = Path(source), Path(output)
    is_folder = output.is_dir() or not output.suffix
    if isinstance(effect, CloudFilm):
        if not is_folder:
            raise UnsupportedFormatError(
                f"clouds go into a folder, one file a frame, and {output} is a file's name"
            )
        _check_cloud_folder(output, overwrite=overwrite)
        return codec
    if isinstance(effect, Depth16Film):
        wanted = "png" if is_folder else "ffv1"
        if codec not in ("auto", wanted) or (not is_folder and output.suffix.lower() != ".mkv"):
            raise UnsupportedFormatError(
                "depth as numbers of 16 bits goes into .mkv (codec ffv1) or a folder of .png, not into "
                f"{output}" + (f" as {codec}" if codec != "auto" else "")
            )
        codec = wanted
        if scale_path(output).exists() and not overwrite:
            raise OutputExistsError(
                f"{scale_path(output)} already exists; use --overwrite (overwrite=True) or another name"
            )
    check_video(output, codec=codec, quality=quality, loops=loops, overwrite=overwrite)
    if is_folder:
        if source.is_dir() and output.is_dir() and output.samefile(source):
            raise InputError(f"{output} is the input itself; give another output")
    else:
        check_output(output, source, overwrite=overwrite)
    return codec


def _made(
    video: VideoFile,
    effect: FilmEffect,
    depth: VideoDepth,
    camera: Camera | None,
    span: tuple[float, float] | None,
    until: Event | None,
    threads: int | None,
    facts: dict[str, Any] | None,
) -> Generator[tuple[VideoFrame, Made]]:
    """Run all stages but the last one."""
    from depth3d.video_cuts import SceneCuts

    camera = camera_for(video.size_wh) if camera is None else camera.resized(*video.size_wh)
    seconds = None if video.frame_count is None else float(video.frame_count / video.fps)
    film = FilmFacts(video.size_wh, video.fps, camera, seconds)
    threads = _threads_for(effect) if threads is None else threads
    frames = ahead(_frames(video, until))
    steps = ahead(moments(frames, depth, film, span=span, is_cut=SceneCuts()))
    planned: deque[VideoFrame] = deque()

    def in_plan() -> Iterator[Moment]:
        for moment in steps:
            planned.append(moment.frame)
            yield moment
            del moment

    def tasks() -> Iterator[tuple[VideoFrame, Job]]:
        jobs = effect.jobs(in_plan(), film, {} if facts is None else facts)
        for job in staged(f"planning {effect.name}", jobs):
            yield planned.popleft(), job

    with closing(frames), closing(steps):  # type: ignore[type-var]
        yield from mapped_ahead(partial(_done, effect.name), tasks(), threads=threads)


def _threads_for(effect: FilmEffect) -> int:
    return 1 if effect.is_light else min(_MOST_THREADS, usable_cpus())


def _pictures(made: Generator[tuple[VideoFrame, Made]]) -> Iterator[VideoFrame]:
    with closing(made):
        for frame, picture in made:
            yield VideoFrame(picture, frame.time_s, frame.number)  # type: ignore[arg-type]
            del frame, picture


def _done(name: str, task: tuple[VideoFrame, Job]) -> tuple[VideoFrame, Made]:
    frame, job = task
    with stage(name):
        return frame, job()


def _frames(video: VideoFile, until: Event | None) -> Iterator[VideoFrame]:
    for frame in video.frames():
        if until is not None and until.is_set():
            return
        yield frame
        del frame


def _save_clouds(
    made: Iterable[tuple[VideoFrame, Made]], folder: Path, on_frame: Callable[[int], None] | None
) -> int:
    count = 0
    for frame, cloud in made:
        count += 1
        if isinstance(cloud, PointCloud):
            comments = [f"frame: {frame.number}", f"time_s: {float(frame.time_s):.6f}"]
            save(cloud, folder / f"frame_{frame.number + 1:05d}.ply", comments=comments)
        if on_frame:
            on_frame(1)
    if not count:
        raise InputError("the film has no frame; give another one, or another stretch of it")
    return count


def _check_cloud_folder(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists():
        check_writable(folder, overwrite=overwrite)
        return
    check_writable(folder / "frame_00001.ply", overwrite=True)
    there = next(folder.glob("frame_*.ply"), None)
    if there and not overwrite:
        raise FileError(
            f"{folder} holds clouds already ({there.name} ...); use --overwrite or another folder"
        )
