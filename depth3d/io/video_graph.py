"""Decoded frames to upright RGB arrays, by a graph of FFmpeg's filters."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.io.video_colors import FrameColors, colors_of, rgb_cube

__all__ = ["TURNS", "FrameGraph", "graph_key", "turn_of"]

TURNS: dict[tuple[int, int, int, int], tuple[tuple[tuple[str, str], ...], int]] = {
    (1, 0, 0, 1): ((), 0),
    (0, 1, -1, 0): ((("transpose", "clock"),), 90),
    (-1, 0, 0, -1): ((("hflip", ""), ("vflip", "")), 180),
    (0, -1, 1, 0): ((("transpose", "cclock"),), 270),
    (-1, 0, 0, 1): ((("hflip", ""),), 0),
    (1, 0, 0, -1): ((("vflip", ""),), 180),
    (0, 1, 1, 0): ((("transpose", "cclock_flip"),), 90),
    (0, -1, -1, 0): ((("transpose", "clock_flip"),), 270),
}
"""Filters, and degrees clockwise, by the signs a, b, c, d of a display matrix.

It means x' = a x + c y, y' = b x + d y, with x to the right and y down.
"""

_SCALING = {"flags": "area+accurate_rnd+full_chroma_int", "sws_dither": "none"}
"""Area is a mean where the picture shrinks and linear where it grows. Without `accurate_rnd` greens come
out 1.3 too dark, up to 2.8; with it the error is rounding."""

_WHITE_16 = 255 * 256 / 65535
"""What FFmpeg makes of white in 16 bit, and what it takes for white on the way back to 8."""


def turn_of(frame: Any) -> tuple[int, int, int, int]:
    """Read how a frame is to be turned, from its display matrix: the nearest key of `TURNS`."""
    try:
        matrix = np.frombuffer(bytes(frame.side_data["DISPLAYMATRIX"]), np.int32)
    except KeyError:
        return 1, 0, 0, 1
    if matrix.size < 5 or not matrix[[0, 1, 3, 4]].any():
        return 1, 0, 0, 1
    a, b, c, d = (float(matrix[i]) for i in (0, 1, 3, 4))
    return max(TURNS, key=lambda turn: a * turn[0] + b * turn[1] + c * turn[2] + d * turn[3])


def graph_key(frame: Any) -> tuple[Any, ...]:
    """Tell all that a graph depends on; a frame with another key needs another graph."""
    return (frame.width, frame.height, frame.format.name, colors_of(frame))


class FrameGraph:
    """Makes arrays of frames that agree in `graph_key`.

    Args:
        frame: One of them.
        size_wh: (width, height) in pixels to give out.
        turn: A key of `TURNS`.
        has_alpha: Whether to lay the picture over black.
        is_interlaced: Whether to make whole frames of fields (bwdif, one for each frame).
        chroma: Where colours of half resolution are measured: `left`, on the first pixel of two, as in H.264
            and nearly all others; or `center`, between them, as in JPEG.
    """

    def __init__(
        self,
        frame: Any,
        size_wh: tuple[int, int],
        turn: tuple[int, int, int, int] = (1, 0, 0, 1),
        *,
        has_alpha: bool = False,
        is_interlaced: bool = False,
        chroma: str = "left",
    ) -> None:
        """Build and configure the filters."""
        import av

        colors = colors_of(frame)
        width, height = size_wh if turn[0] else size_wh[::-1]
        graph = self._graph = av.filter.Graph()
        last = graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000",
        )
        steps: list[tuple[str, dict[str, str]]] = []
        if is_interlaced:
            steps.append(("bwdif", {"mode": "send_frame", "deint": "interlaced"}))
        steps.append(("setparams", _tags(colors)))
        to_rgb = {**_SCALING, "in_range": "full" if colors.is_full else "limited", "out_range": "full"}
        if colors.matrix:
            to_rgb |= {"in_color_matrix": colors.matrix, "in_chroma_loc": chroma}
        if has_alpha:
            # Over black among the encoded values, as players and editors do; before it is scaled, so that
            # the colours under what is transparent don't bleed out.
            steps += [
                ("scale", to_rgb),
                ("format", {"pix_fmts": "gbrap16le"}),
                ("premultiply", {"inplace": "1"}),
            ]
            to_rgb = dict(_SCALING)
        steps.append(("scale", {"w": str(width), "h": str(height), **to_rgb}))
        if colors.needs_cube:
            steps += [("format", {"pix_fmts": "gbrp16le"}), ("lut3d", {"interp": "tetrahedral"})]
            steps.append(("scale", dict(_SCALING)))
        steps.append(("format", {"pix_fmts": "gbrp"}))
        steps += [(name, {"dir": way} if way else {}) for name, way in TURNS[turn][0]]
        with ExitStack() as files:
            for name, options in steps:
                if name == "lut3d":
                    options["file"] = str(files.enter_context(_written_cube(colors)))
                node = graph.add(name, **options)
                last.link_to(node)
                last = node
            sink = graph.add("buffersink")
            last.link_to(sink)
            graph.configure()
        self._times: deque[Fraction] = deque()

    def images(
        self, frame: Any | None, time_s: Fraction = Fraction(0)
    ) -> Iterator[tuple[Fraction, ImageArray]]:
        """Put a frame in, or None at the end, and take out what is ready.

        Args:
            frame: An `av.VideoFrame`.
            time_s: Its time; its picture keeps it.

        Yields:
            Times and (H, W, 3) uint8 sRGB, read-only, in order; as many as frames went in.
        """
        import av

        if frame is not None:
            self._times.append(time_s)
            frame.pts, frame.time_base = len(self._times), Fraction(1, 1000)
        self._graph.vpush(frame)
        while self._times:
            try:
                image = _array(self._graph.vpull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield self._times.popleft(), image


def _array(frame: Any) -> ImageArray:
    """Interleave the planes of a `gbrp` frame; eight times as fast as PyAV's own `to_ndarray`."""
    import cv2

    green, blue, red = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    )
    image = np.asarray(cv2.merge([red, green, blue]), np.uint8)
    image.flags.writeable = False  # so that nobody need copy it
    return image


def _tags(colors: FrameColors) -> dict[str, str]:
    matrix = {"bt601": "smpte170m", "bt2020": "bt2020nc", "": "gbr"}.get(colors.matrix, colors.matrix)
    return {"colorspace": matrix, "range": "full" if colors.is_full else "limited"}


@contextmanager
def _written_cube(colors: FrameColors) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="depth3d-") as folder:
        path = Path(folder, "colors.cube")
        path.write_text(_cube_text(colors))
        yield path


@lru_cache(maxsize=4)
def _cube_text(colors: FrameColors) -> str:
    """Write a table as a .cube file holds it (Adobe Cube LUT Specification 1.0: red runs fastest)."""
    cube = rgb_cube(colors, most=1 / _WHITE_16)
    values = tuple((_WHITE_16 * cube).transpose(2, 1, 0, 3).ravel().tolist())
    return f"LUT_3D_SIZE {len(cube)}\n" + "%.6f %.6f %.6f\n" * (len(values) // 3) % values
