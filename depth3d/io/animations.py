"""Frames to GIF and to animated WebP."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.errors import UnsupportedFormatError
from depth3d.io.shown_frames import Shown, as_rgb
from depth3d.io.video_formats import VideoFormat

__all__ = ["write_gif", "write_webp"]

_LARGEST = {"gif": 65535, "webp": 16383}
_GIF_TICK, _WEBP_TICK = Fraction(1, 100), Fraction(1, 1000)
_GIF_LEAST, _WEBP_LEAST = 2, 11  # ticks: browsers show shorter frames for a tenth of a second each
_GIF_LONGEST = 65535
"""Ticks that a GIF can show a frame: eleven minutes."""
_WEBP_LONGEST = 2**24 - 1
"""And a WebP: four hours and a half."""


def write_gif(shown: Iterable[Shown], path: Path, made: VideoFormat, *, loops: int) -> int:
    """Write a GIF with the one palette that suits all its frames best, so that still parts stay still.

    The palette (median cut) is known when the last frame is: until then they wait on disk, H x W x 3
    bytes each in a file without name beside `path`, never in memory. Then each is dithered by
    Floyd and Steinberg's error diffusion. A GIF counts hundredths of a second: frames begin where they
    should to the nearest one, so that the film as a whole keeps its length. A frame of less than 2 of them
    makes way for the next, since players would slow it down.

    Args:
        shown: The frames, one size, at least one.
        path: Where to, as it is.
        made: With the number of colours as its quality, the transparent one included.
        loops: How often it plays; 0 is for ever.

    Returns:
        The number of frames that are in it.
    """
    import av

    with tempfile.TemporaryFile(dir=path.parent) as waiting:
        timed = _in_ticks(shown, _GIF_TICK, _GIF_LEAST)
        palette, starts, shape = _palette(timed, waiting, colors=int(made.quality or 256))
        end = starts.pop()
        waiting.seek(0)
        # A GIF says how often it repeats, and nothing where it plays once.
        last = min(end - starts[-1], _GIF_LONGEST)
        options = {"loop": str(loops - 1 if loops else 0), "final_delay": str(last)}
        if loops == 1:
            options["loop"] = "-1"
        with av.open(f"file:{path}", "w", format="gif", container_options=options) as container:
            stream = container.add_stream("gif", rate=round(1 / _GIF_TICK))
            stream.height, stream.width = shape[:2]
            stream.pix_fmt = "pal8"
            stream.codec_context.time_base = _GIF_TICK
            frames = (np.fromfile(waiting, np.uint8, shape[0] * shape[1] * 3) for _ in starts)
            dithered = _dithered((frame.reshape(shape) for frame in frames), palette, shape)
            for start, picture in zip(starts, dithered, strict=True):
                picture.pts, picture.time_base = start, _GIF_TICK
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    return len(starts)


def write_webp(shown: Iterable[Shown], path: Path, made: VideoFormat, *, loops: int) -> int:
    """Write an animated WebP. What is compressed stays in memory until the end, as the format wants it.

    Args:
        shown: The frames, one size, at least one.
        path: Where to, as it is.
        made: With the quality, 0..100.
        loops: How often it plays; 0 is for ever.

    Returns:
        The number of frames that are in it; one of less than 11 milliseconds makes way for the next.
    """
    import av

    count = length = 0
    options = {"quality": str(made.quality)}
    with av.open(f"file:{path}", "w", format="webp", container_options={"loop": str(loops)}) as container:
        stream = container.add_stream("libwebp_anim", rate=1 / _WEBP_TICK, options=options)
        stream.pix_fmt = "bgra"
        stream.codec_context.time_base = _WEBP_TICK
        for image, start, end in _in_ticks(shown, _WEBP_TICK, _WEBP_LEAST):
            if not count:
                _check_size(image, "webp")
                stream.height, stream.width = image.shape[:2]
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgra")
            picture.pts, picture.time_base = start, _WEBP_TICK
            container.mux(stream.encode(picture))
            count, length = count + 1, end
        container.mux(stream.encode())
    _make_animated(path, stream.width, stream.height, length, loops)
    _set_length(path, length)
    return count


def _make_animated(path: Path, width: int, height: int, ticks: int, loops: int) -> None:
    """Make an animation of one frame of a plain picture, which the encoder writes where all frames are alike.

    Source: RFC 9649, section 2.7: `VP8X` says that there is an animation and how large it is, `ANIM` the
    background and the repetitions, and an `ANMF` holds the frame.
    """
    whole = path.read_bytes()
    if whole[12:16] == b"VP8X":
        return
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    lasts = min(ticks, _WEBP_LONGEST).to_bytes(3, "little")
    body = b"".join(
        name + len(chunk).to_bytes(4, "little") + chunk
        for name, chunk in (
            (b"VP8X", b"\2\0\0\0" + sides),
            (b"ANIM", b"\xff\xff\xff\xff" + loops.to_bytes(2, "little")),
            (b"ANMF", bytes(6) + sides + lasts + b"\2" + whole[12:]),
        )
    )
    path.write_bytes(b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body)


def _set_length(path: Path, ticks: int) -> None:
    """Let a WebP's last frame last until the end: the encoder gives it the mean length of the others.

    Source: WebP Container Specification: chunks of a name, a length and an even number of bytes; an `ANMF`
    holds its duration in the 24 bits from its 12th byte on.
    """
    with path.open("r+b") as file:
        file.seek(12)
        last, begins, length = None, 0, 0
        while len(head := file.read(8)) == 8:
            at, size = file.tell(), int.from_bytes(head[4:], "little")
            if head[:4] == b"ANMF":
                begins += length
                last = at + 12
                file.seek(last)
                length = int.from_bytes(file.read(3), "little")
            file.seek(at + size + size % 2)
        if last is not None:
            file.seek(last)
            file.write(min(max(ticks - begins, 1), _WEBP_LONGEST).to_bytes(3, "little"))


def _in_ticks(shown: Iterable[Shown], tick_s: Fraction, least: int) -> Iterator[tuple[ImageArray, int, int]]:
    """Give pictures with their starts and ends in ticks, but for those that are shown too briefly."""
    begins = 0
    brief: Shown | None = None
    for one in shown:
        end = round(one.end_s / tick_s)
        if end - begins < least:
            brief = one
            continue
        brief = None
        yield as_rgb(one.image), begins, end
        begins = end
    if brief is not None:
        yield as_rgb(brief.image), begins, begins + least


def _palette(
    timed: Iterable[tuple[ImageArray, int, int]], waiting: Any, *, colors: int
) -> tuple[Any, list[int], tuple[int, ...]]:
    """Put all frames aside, and make the palette of all of them: (16, 16, 4) BGRA.

    Returns:
        The palette, when frames start and the last one ends, and the shape of the frames.
    """
    import av

    graph: Any = None
    ticks = [0]
    shape: tuple[int, ...] = (0, 0, 3)
    for image, _, end in timed:
        if graph is None:
            _check_size(image, "gif")
            shape = image.shape
            graph = av.filter.Graph()
            source = graph.add_buffer(width=shape[1], height=shape[0], format="rgb24", time_base=_GIF_TICK)
            maker = graph.add("palettegen", f"stats_mode=full:max_colors={colors}")
            sink = graph.add("buffersink")
            source.link_to(maker)
            maker.link_to(sink)
            graph.configure()
        np.ascontiguousarray(image).tofile(waiting)
        graph.push(_picture(image, len(ticks)))
        next(_pulled(graph), None)  # which counts its colours now: what is pushed only is held
        ticks.append(end)
    graph.push(None)
    return graph.pull().to_ndarray(), ticks, shape


def _dithered(images: Iterator[ImageArray], palette: Any, shape: tuple[int, ...]) -> Iterator[Any]:
    """Give each frame in the palette's colours, as PyAV pictures in `pal8`."""
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(width=shape[1], height=shape[0], format="rgb24", time_base=_GIF_TICK)
    colors = graph.add_buffer(width=16, height=16, format="bgra", time_base=_GIF_TICK)
    user = graph.add("paletteuse", "dither=floyd_steinberg")
    sink = graph.add("buffersink")
    source.link_to(user, 0, 0)
    colors.link_to(user, 0, 1)
    user.link_to(sink)
    graph.configure()
    table = av.VideoFrame.from_ndarray(palette, format="bgra")
    table.pts, table.time_base = 0, _GIF_TICK
    colors.push(table)
    colors.push(None)
    for number, image in enumerate(images):
        source.push(_picture(image, number))
        yield from _pulled(graph)
    source.push(None)
    yield from _pulled(graph)


def _pulled(graph: Any) -> Iterator[Any]:
    import av

    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):  # wants more, or is done
            return


def _picture(image: ImageArray, number: int) -> Any:
    import av

    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    picture.pts, picture.time_base = number, _GIF_TICK
    return picture


def _check_size(image: ImageArray, kind: str) -> None:
    if max(image.shape[:2]) > _LARGEST[kind]:
        raise UnsupportedFormatError(
            f"{kind} holds sides of up to {_LARGEST[kind]} pixels, got {image.shape[1]}x{image.shape[0]}; "
            "make the film smaller, or write a folder of pictures"
        )
