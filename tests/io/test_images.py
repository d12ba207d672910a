"""Photos in every mode and gamut, against Pillow's and OpenCV's own decoding."""

import logging

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from depth3d.errors import FileError, InputError, OutputExistsError, UnsupportedFormatError
from depth3d.io.images import load_image, read_photo_info, save_image


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff"])
def test_lossless_formats_come_back_exactly_in_opencv_and_here(tmp_path, rgb, suffix):
    path = tmp_path / f"x{suffix}"
    save_image(rgb, path)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], rgb)
    got = load_image(path)
    np.testing.assert_array_equal(got, rgb)
    assert got.dtype == np.uint8
    assert not got.flags.writeable


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_stay_close(tmp_path, suffix):
    v, u = np.mgrid[:32, :48]
    smooth = np.stack([u * 5, v * 7, 255 - u * 5], axis=-1).astype(np.uint8)
    path = tmp_path / f"x{suffix}"
    save_image(smooth, path)
    np.testing.assert_array_equal(load_image(path), np.asarray(Image.open(path).convert("RGB")))
    assert np.abs(load_image(path).astype(int) - smooth).mean() < 2.5


def test_jpeg_quality_is_handed_on_and_fine_colour_kept_from_90(tmp_path, rgb):
    noise = np.kron(rgb, np.ones((8, 8, 1), np.uint8))
    save_image(noise, tmp_path / "low.jpg", quality=30)
    save_image(noise, tmp_path / "high.jpg", quality=95)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size
    with Image.open(tmp_path / "high.jpg") as high:
        assert {layer[1:3] for layer in high.layer} == {(1, 1)}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_gray_of_16_bit_is_written_whole(tmp_path, suffix):
    gray = np.array([[0, 1, 256], [257, 40000, 65535]], np.uint16)
    save_image(gray, tmp_path / f"g{suffix}")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / f"g{suffix}"), cv2.IMREAD_UNCHANGED), gray)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_straight_alpha_is_written_as_it_is(tmp_path, suffix):
    rgba = np.random.default_rng(0).integers(0, 256, (5, 7, 4)).astype(np.uint8)
    save_image(rgba, tmp_path / f"a{suffix}", quality=100)
    read = np.asarray(Image.open(tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(read[..., 3], rgba[..., 3])
    if suffix != ".webp":  # which keeps alpha alone without loss
        np.testing.assert_array_equal(read, rgba)


@pytest.mark.parametrize(
    ("name", "array", "error", "sentence"),
    [
        ("x.gif", np.zeros((2, 2, 3), np.uint8), UnsupportedFormatError, "use one of .png"),
        ("x", np.zeros((2, 2, 3), np.uint8), UnsupportedFormatError, "without suffix"),
        ("x.png", np.zeros((2, 2, 3)), InputError, "float64"),
        ("x.png", np.zeros((2, 2, 5), np.uint8), InputError, r"\(H, W, 3\)"),
        ("x.jpg", np.zeros((2, 2, 4), np.uint8), UnsupportedFormatError, "no transparency; use .png"),
        ("x.jpg", np.zeros((2, 2), np.uint16), UnsupportedFormatError, "16-bit gray"),
        ("x.webp", np.zeros((1, 16384, 3), np.uint8), UnsupportedFormatError, "16383"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, array, error, sentence):
    with pytest.raises(error, match=sentence):
        save_image(array, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_quality_out_of_range_and_existing_files_are_refused(tmp_path, rgb):
    with pytest.raises(InputError, match=r"1\.\.100"):
        save_image(rgb, tmp_path / "x.jpg", quality=0)
    save_image(rgb, tmp_path / "x.png")
    with pytest.raises(OutputExistsError, match="overwrite"):
        save_image(rgb, tmp_path / "x.png", overwrite=False)


# -- modes ------------------------------------------------------------------------------------------


def test_content_counts_and_not_the_suffix(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "photo.heic", format="PNG")
    np.testing.assert_array_equal(load_image(tmp_path / "photo.heic"), rgb)
    assert read_photo_info(tmp_path / "photo.heic").format == "PNG"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_gray_palette_and_bits_become_rgb(tmp_path, rgb, mode, format_):
    image = Image.fromarray(rgb).convert(mode)
    image.save(tmp_path / "x", format=format_)
    np.testing.assert_array_equal(load_image(tmp_path / "x"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_is_rounded_to_8(tmp_path, suffix, channels):
    values = np.arange(65536, dtype=np.uint16)[:: 7 * 3][: 3000 // 3 * 3].reshape(-1, 60)
    deep = values if channels == 1 else np.stack([values, values[::-1], values[:, ::-1]], axis=-1)
    cv2.imwrite(str(tmp_path / f"x{suffix}"), deep if channels == 1 else deep[..., ::-1])
    want = np.rint(deep / 257).astype(np.uint8)
    got = load_image(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(got, want[..., None].repeat(3, axis=-1) if channels == 1 else want)


@pytest.mark.parametrize("depth", [8, 16])
def test_transparency_is_laid_over_white_in_linear_light(tmp_path, depth):
    colour = (200, 40, 10)
    rgba = np.zeros((1, 3, 4), np.uint16)
    rgba[..., :3] = colour
    rgba[0, :, 3] = (0, 128, 255)
    if depth == 16:
        cv2.imwrite(str(tmp_path / "x.png"), (rgba * 257)[..., [2, 1, 0, 3]])
    else:
        Image.fromarray(rgba.astype(np.uint8)).save(tmp_path / "x.png")
    got = load_image(tmp_path / "x.png")

    def linear(byte):
        x = np.asarray(byte) / 255
        return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)

    a = 128 / 255
    mixed = a * linear(colour) + (1 - a)
    want = np.rint(255 * np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055))
    np.testing.assert_array_equal(got[0, 0], (255, 255, 255))  # no trace of the colour under it
    np.testing.assert_array_equal(got[0, 1], want)
    np.testing.assert_array_equal(got[0, 2], colour)


def test_transparent_palette_gray_and_key_colour(tmp_path, rgb):
    palette = Image.fromarray(rgb).convert("P")
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    np.testing.assert_array_equal(load_image(tmp_path / "p.png")[0, 0], (255, 255, 255))
    la = np.dstack([np.full((2, 2), 7, np.uint8), np.array([[0, 255], [255, 0]], np.uint8)])
    Image.fromarray(la).save(tmp_path / "la.png")
    np.testing.assert_array_equal(load_image(tmp_path / "la.png")[..., 0], [[255, 7], [7, 255]])
    Image.fromarray(rgb).save(tmp_path / "key.png", transparency=tuple(int(c) for c in rgb[0, 0]))
    got = load_image(tmp_path / "key.png")
    np.testing.assert_array_equal(got[0, 0], (255, 255, 255))
    np.testing.assert_array_equal(got[1:], rgb[1:])


def test_cmyk_jpeg_without_profile(tmp_path):
    colours = np.kron(np.array([[[250, 20, 20], [20, 250, 20]]], np.uint8), np.ones((16, 16, 1), np.uint8))
    image = Image.fromarray(colours).convert("CMYK")
    image.save(tmp_path / "x.jpg", quality=100)
    got = load_image(tmp_path / "x.jpg")
    assert np.abs(got.astype(int) - colours).max() < 12


def wide_gamut_profile():
    """An ICC profile (v2, matrix and gamma) with the primaries of Adobe RGB, adapted to D50."""
    import struct

    def s15(*numbers):
        return b"".join(struct.pack(">i", round(n * 65536)) for n in numbers)

    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 78,
        b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + s15(0.60974, 0.31111, 0.01947),
        b"gXYZ": b"XYZ \0\0\0\0" + s15(0.20528, 0.62567, 0.06087),
        b"bXYZ": b"XYZ \0\0\0\0" + s15(0.14919, 0.06322, 0.74457),
        b"cprt": b"text\0\0\0\0none\0",
    }
    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(563 / 256 * 256)) + b"\0\0"
    tags |= {b"rTRC": gamma, b"gTRC": gamma, b"bTRC": gamma}
    table, body = b"", b""
    offset = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = bytearray(128)
    head[8:12], head[12:24], head[36:40] = b"\x02\x10\0\0", b"mntrRGB XYZ ", b"acsp"
    head[68:80] = s15(0.9642, 1.0, 0.8249)
    profile = bytes(head) + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.mark.parametrize("deep", [False, True])
def test_adobe_rgb_becomes_srgb_by_the_matrices(tmp_path, deep):
    colours = np.array([[[128, 128, 128], [150, 120, 110], [110, 140, 120], [255, 255, 255]]], np.uint8)
    if deep:
        png = cv2.imencode(".png", colours[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
        (tmp_path / "x.png").write_bytes(with_icc_chunk(png, wide_gamut_profile()))
    else:
        Image.fromarray(colours).save(tmp_path / "x.png", icc_profile=wide_gamut_profile())
    # Adobe RGB (1998) to sRGB, both D65: the product of the published 3x3 matrices.
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    from_xyz = np.array(
        [[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]]
    )
    x = np.clip((colours / 255) ** (563 / 256) @ to_xyz.T @ from_xyz.T, 0, 1)
    want = 255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    got = load_image(tmp_path / "x.png")
    assert np.abs(got - want).max() <= 1.5
    assert np.abs(got.astype(int) - colours).max() > 8  # it was not just passed on


def with_icc_chunk(png, profile):
    import struct
    import zlib

    body = b"iCCPicc\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def test_a_broken_profile_and_one_for_another_mode_are_ignored(tmp_path, rgb, caplog):
    caplog.set_level(logging.INFO, "depth3d")
    Image.fromarray(rgb).save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    np.testing.assert_array_equal(load_image(tmp_path / "broken.png"), rgb)
    assert "broken.png: its colour profile is unusable" in caplog.text
    Image.fromarray(rgb).convert("L").save(tmp_path / "gray.png", icc_profile=wide_gamut_profile())
    assert load_image(tmp_path / "gray.png").shape == rgb.shape
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(rgb).save(tmp_path / "srgb.png", icc_profile=srgb)
    np.testing.assert_array_equal(load_image(tmp_path / "srgb.png"), rgb)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken_and_noted(tmp_path, caplog, format_):
    caplog.set_level(logging.INFO, "depth3d")
    frames = [Image.fromarray(np.full((4, 5, 3), value, np.uint8)) for value in (10, 200)]
    options = {"lossless": True} if format_ == "WEBP" else {}
    frames[0].save(tmp_path / "x", format=format_, save_all=True, append_images=frames[1:], **options)
    assert (load_image(tmp_path / "x") == 10).all()
    assert "2 pictures: the first one is taken" in caplog.text


def test_the_bound_of_pillow_is_left_alone_and_large_photos_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow would refuse more than 20 pixels
    Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(tmp_path / "x.png")
    assert load_image(tmp_path / "x.png").shape == (6, 9, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_missing_heif_decoder_costs_only_heic(tmp_path, rgb, monkeypatch, caplog):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    Image.fromarray(rgb).save(tmp_path / "x.png")
    np.testing.assert_array_equal(load_image(tmp_path / "x.png"), rgb)
    assert "HEIC photos can't be read" in caplog.text
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\xff" * 50)
    with pytest.raises(FileError, match=r"x\.heic is HEIC and this installation can't read it"):
        load_image(tmp_path / "x.heic")


def test_of_more_pixels_than_cameras_make_the_memory_is_told(tmp_path, monkeypatch, caplog):
    Image.fromarray(np.zeros((1000, 1000, 3), np.uint8)).save(tmp_path / "x.png")
    load_image(tmp_path / "x.png")
    assert not caplog.text
    monkeypatch.setattr("depth3d.io.images._MANY_PIXELS", 999_999)
    monkeypatch.setattr("depth3d.io.images._BYTES_A_PIXEL", 20_000)
    load_image(tmp_path / "x.png")
    assert "x.png has 1 megapixels, which takes 20 GB of memory or more; scale it down" in caplog.text
