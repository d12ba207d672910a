"""Every bad photo that people hand in, and the one sentence that it gets."""

import io
import os
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from depth3d.errors import FileError, UnreadableFileError, UnsupportedFormatError
from depth3d.io.depth_files import read_depth
from depth3d.io.embedded_depth import read_embedded_depth
from depth3d.io.images import load_image, read_photo_info

U, F = UnreadableFileError, UnsupportedFormatError
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)


def encoded(format_, pixels=PIXELS, **options):
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_, **options)
    return buffer.getvalue()


def bomb_png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def half(data):
    return data[: len(data) // 2]


ROWS = {  # name: (content, error, the sentence after the path)
    "empty.jpg": (b"", U, "is empty; copy it again"),
    "text.jpg": (b"this is no photo\n", U, "is a text file, no picture; give a photo"),
    "page.jpg": ("<!DOCTYPE html><p>Größe…".encode(), U, "is a text file"),  # a failed download
    "cut_utf8.jpg": (("a" + "ä" * 3000).encode(), U, "is a text file"),  # 4096 bytes end within a letter
    "zeros.jpg": (b"\0" * 500, U, "holds nothing but zeros"),  # a lost disk block
    "noise.png": (bytes(range(128, 256)) * 4, U, "is no picture that depth3d can read"),
    "bomb.png": (bomb_png(50_000, 50_000), U, "50000x50000 pixels, more than the 500 megapixels"),
    "huge.png": (bomb_png(2**31 - 1, 2**31 - 1), U, "megapixels|damaged"),
    "cut.jpg": (half(encoded("JPEG")), U, "damaged or cut short"),
    "cut_progressive.jpg": (half(encoded("JPEG", progressive=True)), U, "damaged or cut short"),
    "cut.png": (half(encoded("PNG")), U, "damaged or cut short"),
    "cut.webp": (half(encoded("WEBP")), U, "damaged"),
    "cut.bmp": (half(encoded("BMP")), U, "damaged or cut short"),
    "cut.tif": (half(encoded("TIFF", compression="tiff_lzw")), F, "TIFF or raw photo that is damaged or"),
    "cut.gif": (half(encoded("GIF", PIXELS[..., 0])), U, "damaged or cut short"),
    "cut.heic": (half(encoded("HEIF")), U, "damaged"),
    "head.jpg": (encoded("JPEG")[:20], U, "damaged"),
    "head.png": (encoded("PNG")[:12], U, "damaged"),
    "head.heic": (encoded("HEIF")[:40], U, "damaged"),
    "clip.mp4": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\xff" * 40, F, "is a video"),
    "raw.dng": (b"II*\0\x08\0\0\0\0\0" + b"\xff" * 40, F, "TIFF or raw"),
    "float.tif": (encoded("TIFF", PIXELS[..., 0].astype(np.float32)), F, "depth map rather than a photo"),
    "int32.tif": (encoded("TIFF", PIXELS[..., 0].astype(np.int32) * 99999), F, "32-bit integers"),
}


@pytest.mark.parametrize("name", ROWS)
def test_bad_photos_get_one_sentence(tmp_path, name):
    content, error, sentence = ROWS[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=sentence) as caught:
        load_image(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert ";" in text  # after what is wrong comes what to do


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("read", [read_photo_info, read_embedded_depth, read_depth])
def test_no_foreign_exception_escapes_from_the_other_readers(tmp_path, name, read):
    path = tmp_path / name
    path.write_bytes(ROWS[name][0])
    try:
        read(path)  # headers of pictures that are cut short may well be whole
    except (FileError, ValueError) as error:
        assert type(error).__module__ == "depth3d.errors"  # noqa: PT017
        assert str(path) in str(error)  # noqa: PT017


READERS = [load_image, read_photo_info, read_embedded_depth, read_depth]


@pytest.mark.parametrize("read", READERS)
def test_directories_missing_files_and_strange_names(tmp_path, read):
    with pytest.raises(U, match="is a directory; give a file"):
        read(tmp_path)
    with pytest.raises(U, match=r"none\.jpg does not exist; check the path"):
        read(tmp_path / "none.jpg")
    for name in ("x" * 300 + ".jpg", "a\0b.jpg"):
        with pytest.raises(U, match=r"can't read .*: "):
            read(tmp_path / name)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_no_permission(tmp_path, read):
    path = tmp_path / "x.png"
    path.write_bytes(encoded("PNG"))
    path.chmod(0)
    with pytest.raises(U, match="may not be read by this user"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_no_permission_as_the_system_reports_it(tmp_path, read, monkeypatch):
    (tmp_path / "x.png").write_bytes(encoded("PNG"))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(U, match=r"x\.png may not be read by this user"):
        read(tmp_path / "x.png")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF"])
def test_no_photo_that_is_cut_short_is_half_gray(tmp_path, format_):
    data = encoded(format_)
    for share in (0.02, 0.3, 0.7, 0.95):
        (tmp_path / "x").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FileError):
            load_image(tmp_path / "x")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF"])
def test_flipped_bytes_give_a_picture_or_a_sentence(tmp_path, format_):
    data = encoded(format_)
    rng = np.random.default_rng(9)
    for _ in range(25):
        broken = bytearray(data)
        for at in rng.integers(0, min(len(data), 600), 4):
            broken[at] = int(rng.integers(0, 256))
        (tmp_path / "x").write_bytes(bytes(broken))
        try:
            image = load_image(tmp_path / "x")
        except FileError as error:
            assert str(tmp_path / "x") in str(error)  # noqa: PT017
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 3
