"""A photo's header: the orientation that turns it, and what else EXIF and HEIF tell."""

import io

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from depth3d.core.camera import Camera
from depth3d.io.exif import matrix_upright, size_upright, upright
from depth3d.io.images import load_image, load_photo, read_photo_info

H, W = 6, 9  # of the fixture rgb


def exif_of(tags=(), inner=()):
    exif = Image.Exif()
    for tag, value in dict(tags).items():
        exif[tag] = value
    ifd = exif.get_ifd(0x8769)
    for tag, value in dict(inner).items():
        ifd[tag] = value
    return exif


# -- orientation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_agrees_with_pillow(rgb, orientation):
    image = Image.fromarray(rgb)
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(upright(rgb, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "TIFF", "TIFF LZW", "WEBP", "PNG 16", "TIFF 16"])
def test_orientation_is_applied_once_in_lossless_formats(tmp_path, rgb, orientation, format_):
    exif = exif_of({0x0112: orientation})
    path = tmp_path / "photo.any"
    if format_ in ("PNG 16", "TIFF 16"):
        deep = rgb.astype(np.uint16) * 257
        data = cv2.imencode(f".{format_[:3].lower()}", deep[..., ::-1])[1].tobytes()
        path.write_bytes(with_orientation(data, format_[:3], orientation))
    else:
        options = {"lossless": True} if format_ == "WEBP" else {}
        options |= {"compression": "tiff_lzw"} if format_ == "TIFF LZW" else {}
        Image.fromarray(rgb).save(path, format=format_.split()[0], exif=exif, **options)
    want = upright(rgb, orientation)
    photo = load_photo(path)
    np.testing.assert_array_equal(photo.image, want)
    info = read_photo_info(path)
    assert info.orientation == orientation
    assert info.size_wh == photo.info.size_wh == (want.shape[1], want.shape[0])


def with_orientation(data, kind, orientation):
    """Put an orientation into the PNG or TIFF that OpenCV wrote, which has none."""
    import struct
    import zlib

    if kind == "PNG":
        body = b"eXIf" + exif_of({0x0112: orientation}).tobytes()[6:]
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        end = len(data) - 12  # after the pixels, where some programs put it
        return data[:end] + chunk + data[end:]
    # A copy of the directory with one entry more, at the end of the file.
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    entries = [e for e in entries if struct.unpack_from("<H", e)[0] != 274]
    entries.append(struct.pack("<HHIHxx", 274, 3, 1, orientation))
    entries.sort(key=lambda e: struct.unpack_from("<H", e)[0])
    data += b"\0" * (len(data) % 2)
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_is_turned_as_opencv_turns_it(tmp_path, orientation):
    v, u = np.mgrid[:24, :40]
    smooth = np.stack([u * 6, v * 10, 0 * u], axis=-1).astype(np.uint8)
    path = tmp_path / "x.jpg"
    Image.fromarray(smooth).save(path, quality=98, subsampling=0, exif=exif_of({0x0112: orientation}))
    got = load_image(path)
    theirs = cv2.imread(str(path))[..., ::-1]
    assert got.shape == theirs.shape
    assert np.abs(got.astype(int) - theirs).max() <= 3  # two JPEG decoders


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_not_turned_twice(tmp_path, orientation):
    pillow_heif.register_heif_opener()
    v, u = np.mgrid[:64, :96]
    smooth = np.stack([u * 2, v * 3, 0 * u], axis=-1).astype(np.uint8)
    path = tmp_path / "x.heic"
    image = Image.fromarray(smooth)
    image.info["exif"] = exif_of({0x0112: orientation}).tobytes()  # its encoder writes boxes that turn
    image.save(path, quality=95)
    photo = load_photo(path)
    want = upright(smooth, orientation)
    assert photo.image.shape == want.shape
    assert np.abs(photo.image.astype(int) - want).max() <= 12
    assert photo.info.format == "HEIF"
    assert read_photo_info(path) == photo.info


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_matrix_follows_its_picture(orientation):
    """A point is projected into the stored picture's marked pixel; turned, K must find it again."""
    stored = Camera(fx=50, fy=70, cx=4.2, cy=2.9, width=W, height=H)
    mark = np.zeros((H, W, 1), np.uint8)
    mark[1, 7] = 1
    ray = stored.rays(np.array([7.5, 1.5]))
    row, col, _ = np.argwhere(upright(mark, orientation))[0]
    k = matrix_upright(stored.matrix, W, H, orientation)
    width, height = size_upright(W, H, orientation)
    turned = Camera(k[0, 0], k[1, 1], k[0, 2], k[1, 2], width, height)
    x, y, _ = turned.rays(np.array([col + 0.5, row + 0.5]))
    # Turning the picture turns the ray about the optical axis, or mirrors it: the axes' angles stay.
    assert sorted(abs(np.array([x, y]))) == pytest.approx(sorted(abs(ray[:2])), abs=1e-12)
    assert turned.fx == (70 if orientation > 4 else 50)
    if orientation in (3, 6, 8):  # the turns among them: core's own law
        turns = {3: 2, 6: 3, 8: 1}[orientation]
        np.testing.assert_allclose(stored.rotated_90(turns).matrix, k, atol=1e-12)


# -- what a header tells ----------------------------------------------------------------------------


def test_exif_of_a_phone_is_read(tmp_path, rgb):
    tags = {0x010F: "Maker\0", 0x0110: " Model X ", 0x0112: 6}
    inner = {0x920A: 5.7, 0xA405: 26, 0xA404: 1.5, 0xA002: 4032, 0xA003: 3024, 0xA20E: 5000.0, 0xA210: 3}
    Image.fromarray(rgb).save(tmp_path / "x.jpg", exif=exif_of(tags, inner))
    info = read_photo_info(tmp_path / "x.jpg")
    assert (info.make, info.model, info.orientation, info.format) == ("Maker", "Model X", 6, "JPEG")
    assert (info.width, info.height) == (H, W)
    assert (info.focal_mm, info.focal_35mm, info.digital_zoom) == (pytest.approx(5.7), 26.0, 1.5)
    assert info.exif_size_wh == (4032, 3024)
    assert info.sensor_px_per_mm == pytest.approx(500)
    assert info.embedded_matrix is None


@pytest.mark.parametrize(
    ("inner", "field"),
    [
        ({0xA405: 0}, "focal_35mm"),  # 0 is EXIF's unknown
        ({0x920A: 0.0}, "focal_mm"),
        ({0xA404: 0.0}, "digital_zoom"),
        ({0xA002: 0, 0xA003: 0}, "exif_size_wh"),
        ({0xA002: 100}, "exif_size_wh"),  # half a size is none
        ({0xA20E: 5000.0, 0xA210: 1}, "sensor_px_per_mm"),  # no absolute unit
    ],
)
def test_zeros_of_exif_mean_unknown(tmp_path, rgb, inner, field):
    Image.fromarray(rgb).save(tmp_path / "x.jpg", exif=exif_of({}, inner))
    assert getattr(read_photo_info(tmp_path / "x.jpg"), field) is None


@pytest.mark.parametrize("unit_and_mm", [(2, 25.4), (3, 10), (4, 1), (5, 0.001)])
def test_units_of_the_focal_plane(tmp_path, rgb, unit_and_mm):
    unit, mm = unit_and_mm
    Image.fromarray(rgb).save(tmp_path / "x.jpg", exif=exif_of({}, {0xA20E: 4000.0, 0xA210: unit}))
    assert read_photo_info(tmp_path / "x.jpg").sensor_px_per_mm == pytest.approx(4000 / mm)


@pytest.mark.parametrize("junk", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0junk" * 9])
def test_damaged_exif_counts_as_none(tmp_path, rgb, junk):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", exif=junk)
    (tmp_path / "x.jpg").write_bytes(buffer.getvalue())
    photo = load_photo(tmp_path / "x.jpg")
    assert photo.info.orientation == 1
    assert photo.image.shape == rgb.shape


def test_reading_a_header_decodes_nothing(tmp_path, rgb, monkeypatch):
    for format_ in ("JPEG", "PNG", "TIFF", "BMP", "WEBP"):
        Image.fromarray(rgb).save(tmp_path / format_, format=format_)

    def refuse(*_):
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    for format_ in ("JPEG", "PNG", "TIFF", "BMP", "WEBP"):
        assert read_photo_info(tmp_path / format_).size_wh == (W, H)


def test_photos_of_three_phones(shared_data):
    rows = {  # file: orientation, upright size, focal_mm, focal_35mm, model
        "pug": (1, (4032, 3024), 5.7, 26.0, "iPhone 13 Pro"),
        "arrow": (6, (3024, 4032), 3.99, 28.0, "iPhone 8 Plus"),
        "aux_YCbCr": (1, (4000, 1848), 18.6, 115.0, "Galaxy S25 Ultra"),
    }
    for name, (orientation, size_wh, focal_mm, focal_35mm, model) in rows.items():
        info = read_photo_info(shared_data / "heic" / f"{name}.heic")
        assert (info.orientation, info.size_wh, info.model) == (orientation, size_wh, model)
        assert info.focal_mm == pytest.approx(focal_mm)
        assert info.focal_35mm == focal_35mm


def test_a_heif_camera_matrix_is_taken_as_it_is(tmp_path, monkeypatch):
    """Its origin is the picture's corner, as ours: a centred camera of 96 pixels has 48."""
    pillow_heif.register_heif_opener()
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(tmp_path / "x.heic")
    real_open = Image.open

    def with_matrix(file):
        image = real_open(file)
        names = ("focal_length_x", "focal_length_y", "principal_point_x", "principal_point_y", "skew")
        image.info["heif"] = {"camera_intrinsic_matrix": dict(zip(names, (80, 81, 48, 32, 0), strict=True))}
        return image

    monkeypatch.setattr(Image, "open", with_matrix)
    assert read_photo_info(tmp_path / "x.heic").embedded_matrix == (80, 0, 48, 0, 81, 32, 0, 0, 1)
