"""The files that people should never have, and do: each is made here, small, under the name of the table."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest

WIDTH, HEIGHT = 64, 48


def _photo(width=WIDTH, height=HEIGHT):
    v, u = np.mgrid[:height, :width]
    return np.stack([u * 255 // width, v * 255 // height, (u + v) % 256], axis=-1).astype(np.uint8)


def _encoded(format_, pixels=None, **options):
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.fromarray(_photo() if pixels is None else pixels).save(buffer, format_, **options)
    return buffer.getvalue()


def _png_bomb(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def _jpeg_bomb():
    data = bytearray(_encoded("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65000, 65000)
    return bytes(data)


def _tiff_bomb():
    data = _encoded("TIFF")
    for tag in (256, 257):  # ImageWidth, ImageLength
        at = next(data.index(entry) for kind in (3, 4) if (entry := struct.pack("<HH", tag, kind)) in data)
        data = data[:at] + struct.pack("<HHII", tag, 4, 1, 60000) + data[at + 12 :]
    return data


def _heic_bomb():
    data = bytearray(_encoded("HEIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 60000, 60000)
    return bytes(data)


def _exr_bomb():
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from depth3d.core.depth import DepthMap
    from depth3d.io.depth_files import save_depth

    with TemporaryDirectory() as folder:
        save_depth(DepthMap(_depth_m(), "metric"), Path(folder) / "d.exr")
        data = (Path(folder) / "d.exr").read_bytes()
    window = struct.pack("<4i", 0, 0, WIDTH - 1, HEIGHT - 1)
    return data.replace(window, struct.pack("<4i", 0, 0, 59999, 59999))


def _depth_m():
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    return (1 / (0.3 + 0.002 * u + 0.004 * v)).astype(np.float32)


def _npz(values, kind="metric"):
    buffer = io.BytesIO()
    note = json.dumps({"format": "depth3d-depth", "version": 1, "kind": kind})
    np.savez(buffer, depth=np.asarray(values, np.float32), depth3d=np.array(note))
    return buffer.getvalue()


def _npy_header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _zip(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class _Code:
    """A pickle that makes the directory `it_ran` where it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("it_ran",)


def _object_npy():
    buffer = io.BytesIO()
    np.save(buffer, np.array([_Code()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def _camera(**changed):
    fields = {
        "format": "depth3d-camera",
        "version": 1,
        "width": WIDTH,
        "height": HEIGHT,
        "fx": 50.0,
        "fy": 50.0,
    }
    return json.dumps(fields | {"cx": 32.0, "cy": 24.0} | changed).encode()


def _film(frames=12, *, size_wh=(64, 48), codec="libx264", pixels="yuv420p", container="mp4"):
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as film:
        stream = film.add_stream(codec, rate=12)
        (stream.width, stream.height), stream.pix_fmt = size_wh, pixels
        if codec == "libx264":
            stream.options = {"g": "1", "threads": "1"}  # each frame stands alone
        picture = _photo(*size_wh)
        for i in range(frames):
            shown = np.roll(picture, i, axis=1)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24").reformat(format=pixels)))
        film.mux(stream.encode())
    return buffer.getvalue()


def _broken_middle():
    data = bytearray(_film())
    start, end = data.index(b"mdat"), data.index(b"moov")
    middle = (start + end) // 2
    data[middle - 400 : middle + 400] = bytes(800)
    return bytes(data)


def _sound_only():
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return buffer.getvalue()


def _without_frames():
    """Give a film whose header is whole and whose frames are not there."""
    data = _film(container="matroska", codec="libx264")
    return data[: data.index(b"\x1f\x43\xb6\x75")]  # before the first cluster


def _files():
    depth = _depth_m()
    holes = depth.copy()
    holes[10:20, 10:20], holes[0, 0] = np.inf, np.nan
    return {
        "photo.png": _encoded("PNG"),
        "zero.jpg": b"",
        "text.jpg": b"this is no photo\n",
        "cut.jpg": _encoded("JPEG")[:700],
        "cut.png": _encoded("PNG")[:100],
        "cut.heic": _encoded("HEIF")[:500],
        "1x1.png": _encoded("PNG", _photo(1, 1)),
        "1x50.png": _encoded("PNG", _photo(1, 50)),
        "panorama.png": _encoded("PNG", _photo(800, 40)),
        "black.png": _encoded("PNG", np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
        "bomb.png": _png_bomb(60_000, 60_000),
        "bomb.jpg": _jpeg_bomb(),
        "bomb.tif": _tiff_bomb(),
        "bomb.heic": _heic_bomb(),
        "bomb.exr": _exr_bomb(),
        "photo with 'quotes\" \N{GRINNING FACE}.png": _encoded("PNG"),
        "two\nlines.png": _encoded("PNG"),
        "two\nlines.jpg": b"",
        "depth.npz": _npz(depth),
        "relative.npz": _npz(1 / depth, "relative"),
        "constant.npz": _npz(np.full_like(depth, 2)),
        "constant_relative.npz": _npz(np.full_like(depth, 2), "relative"),
        "nan.npz": _npz(np.full_like(depth, np.nan)),
        "infinite.npz": _npz(holes),
        "quarter.npz": _npz(depth[::4, ::4]),
        "cropped.npz": _npz(depth[:30]),
        "negative.npz": _npz(-depth),
        "bomb.npz": _zip({"depth.npy": _npy_header((60_000, 60_000))}),
        "bomb.npy": _npy_header((60_000, 60_000)),
        "code.npy": _object_npy(),
        "cut.npz": _npz(depth)[:900],
        "camera.json": _camera(),
        "negative.json": _camera(fx=-50.0),
        "cut.json": _camera()[:40],
        "code.pth": pickle.dumps({"weight": _Code()}),
        "bomb.pth": _zip({"archive/data.pkl": bytes(10**7), "archive/version": b"3"}),
        "broken.pth": b"PK\x03\x04" + bytes(range(200)),
        "empty.pth": b"",
        "broken.safetensors": b"\xff" * 200,
    }


def _films():
    return {
        "film.mp4": _film(),
        "zero.mp4": b"",
        "text.mp4": b"this is no film\n",
        "cut.mp4": _film()[:900],
        "no_frames.mkv": _without_frames(),
        "sound_only.mp4": _sound_only(),
        "broken_middle.mp4": _broken_middle(),
        "odd.mkv": _film(size_wh=(63, 47), codec="ffv1", pixels="bgr0", container="matroska"),
        "alpha.mov": _film(codec="qtrle", pixels="argb", container="mov"),
        "ten_bits.mkv": _film(codec="ffv1", pixels="yuv420p10le", container="matroska"),
    }


@pytest.fixture(scope="session")
def hard_files():
    """Name -> bytes of every input of the table."""
    return _files() | _films()
