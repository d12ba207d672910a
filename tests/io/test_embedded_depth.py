"""Depth that photos carry: real files of two makers, and files made here with known numbers."""

import base64
import io
import logging
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from depth3d.errors import UnreadableFileError
from depth3d.io.apple_metadata import embedded_matrix
from depth3d.io.embedded_depth import read_embedded_depth
from depth3d.io.exif import upright
from depth3d.io.images import load_image, read_photo_info
from depth3d.io.xmp import jpeg_segments, jpeg_xmp, parse_xmp

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
STANDARD = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
GDEPTH = 'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/"'
NOTE = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
APPLE = (
    'xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/" xmlns:depthData="http://ns.apple.com/depthData/1.0/"'
)
GUID = "0123456789ABCDEF0123456789ABCDEF"


def xmp(namespaces, attributes, inner=""):
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" {namespaces} {attributes}>{inner}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def app1(payload):
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def jpeg(array, *segments, exif=b""):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=100, subsampling=0, exif=exif)
    data = buffer.getvalue()
    return data[:2] + b"".join(segments) + data[2:]


def png_base64(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def orientation_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(5).integers(0, 256, (6, 9), dtype=np.uint8)


PHOTO = np.zeros((12, 18, 3), np.uint8)


# -- GDepth -----------------------------------------------------------------------------------------


def gdepth_photo(path, codes, *, fields="", parts=1, data=None, drop=None, exif=b"", guid=GUID):
    """Write a JPEG whose GDepth data lies in `parts` segments of extended XMP, not in order."""
    near_far = fields or 'GDepth:Format="RangeInverse" GDepth:Near="2" GDepth:Far="8"'
    whole = xmp(GDEPTH, f'GDepth:Data="{data or png_base64(codes)}"')
    size = -(-len(whole) // parts)
    pieces = [
        app1(EXTENSION + guid.encode() + struct.pack(">II", len(whole), start) + whole[start : start + size])
        for start in range(0, len(whole), size)
    ]
    pieces = [piece for i, piece in enumerate(pieces) if i != drop]
    standard = xmp(f"{GDEPTH} {NOTE}", f'{near_far} xmpNote:HasExtendedXMP="{GUID}"')
    path.write_bytes(jpeg(PHOTO, app1(STANDARD + standard), *reversed(pieces), exif=exif))


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_gdepth_inverse_is_linear_in_1_over_z_and_turned(tmp_path, codes, parts, orientation):
    gdepth_photo(tmp_path / "x.jpg", codes, parts=parts, exif=orientation_exif(orientation))
    file = read_embedded_depth(tmp_path / "x.jpg")
    d = codes / 255
    z = 8 * 2 / (8 - d * (8 - 2))  # as Google's page writes it
    np.testing.assert_allclose(file.depth.values, upright(1 / z, orientation), rtol=1e-6)
    assert file.depth.kind == "relative"
    assert file.provenance == {"source": "gdepth", "format": "RangeInverse", "measure": "OpticalAxis"}
    photo = load_image(tmp_path / "x.jpg")
    assert (photo.shape[0] > photo.shape[1]) == (file.depth.height > file.depth.width)


@pytest.mark.parametrize(("unit", "metres"), [("m", 1.0), ("mm", 0.001), ("M ", 1.0)])
def test_gdepth_with_a_unit_is_metric(tmp_path, codes, unit, metres):
    fields = f'GDepth:Format="RangeLinear" GDepth:Near="500" GDepth:Far="4500" GDepth:Units="{unit}"'
    gdepth_photo(tmp_path / "x.jpg", codes, fields=fields)
    depth = read_embedded_depth(tmp_path / "x.jpg").depth
    assert depth.kind == "metric"
    np.testing.assert_allclose(depth.values, (500 + codes / 255 * 4000) * metres, rtol=1e-6)


def test_gdepth_to_infinity_along_rays(tmp_path, caplog):
    fields = 'GDepth:Format="RangeInverse" GDepth:Near="2" GDepth:Far="INF" GDepth:Units="m"'
    codes = np.array([[0, 51, 255]], np.uint8)
    gdepth_photo(tmp_path / "x.jpg", codes, fields=fields + ' GDepth:MeasureType="OpticRay"')
    file = read_embedded_depth(tmp_path / "x.jpg")
    np.testing.assert_allclose(file.depth.values, [[2, 2.5, np.nan]], rtol=1e-6)
    assert file.provenance["measure"] == "OpticRay"
    assert "ranges along the rays" in caplog.text


def test_gdepth_of_16_bit_colour_and_element_style(tmp_path):
    codes = np.array([[0, 30000, 65535]], np.uint16)
    inner = (
        "<GDepth:Format>RangeLinear</GDepth:Format><GDepth:Near>1</GDepth:Near><GDepth:Far>3</GDepth:Far>"
        f"<GDepth:Units>m</GDepth:Units><GDepth:Data>\n{png_base64(codes)}\n</GDepth:Data>"
    )
    (tmp_path / "x.jpg").write_bytes(jpeg(PHOTO, app1(STANDARD + xmp(GDEPTH, "", inner))))
    depth = read_embedded_depth(tmp_path / "x.jpg").depth
    np.testing.assert_allclose(depth.values, 1 + codes / 65535 * 2, rtol=1e-6)


@pytest.mark.parametrize("mode", ["1", "P", "L", "LA", "RGB", "RGBA"])
def test_gdepth_pictures_of_any_mode(tmp_path, mode):
    codes = np.array([[0, 255], [255, 0]], np.uint8)
    buffer = io.BytesIO()
    picture = (
        Image.fromarray(255 - codes).convert("P") if mode == "P" else Image.fromarray(codes).convert(mode)
    )
    if mode == "P":
        picture.putpalette([255 - value for value in range(256) for _ in range(3)])  # index 0 is white
    picture.save(buffer, "PNG")
    gdepth_photo(tmp_path / "x.jpg", codes, data=base64.b64encode(buffer.getvalue()).decode())
    want = read_embedded_depth(tmp_path / "x.jpg").depth.values
    gdepth_photo(tmp_path / "x.jpg", codes)
    np.testing.assert_array_equal(read_embedded_depth(tmp_path / "x.jpg").depth.values, want)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ({"parts": 3, "drop": 1}, "announced and not there"),  # a segment was lost
        ({"guid": "F" * 32}, "announced and not there"),  # an extension of another photo
        ({"data": "%%%"}, "damaged"),
        ({"data": "QUJD"}, "no picture|text file"),
        ({"fields": 'GDepth:Format="RangeInverse"'}, "how near and how far"),
        ({"fields": 'GDepth:Format="RangeInverse" GDepth:Near="5" GDepth:Far="2"'}, "how near and how far"),
        ({"fields": 'GDepth:Format="RangeInverse" GDepth:Near="nan" GDepth:Far="2"'}, "how near"),
        ({"fields": 'GDepth:Format="Cubic" GDepth:Near="1" GDepth:Far="2"'}, "unknown format 'Cubic'"),
        ({"fields": 'GDepth:Format="RangeLinear" GDepth:Near="1" GDepth:Far="inf"'}, "steps to infinity"),
    ],
)  # fmt: skip
def test_gdepth_that_is_announced_and_unusable(tmp_path, codes, made, sentence):
    gdepth_photo(tmp_path / "x.jpg", codes, **made)
    with pytest.raises(UnreadableFileError, match=sentence) as caught:
        read_embedded_depth(tmp_path / "x.jpg")
    assert "x.jpg" in str(caught.value)


def test_the_real_gdepth_photo(shared_data):
    path = shared_data / "gdepth_jpeg/lensblur_gdepth.jpg"
    file = read_embedded_depth(path)
    assert (file.depth.kind, file.depth.size_wh) == ("relative", (580, 1024))
    assert file.depth.size_wh == read_photo_info(path).size_wh
    near, far = 9.61550521850586, 44.63623809814453
    assert file.depth.values.max() == pytest.approx(1 / near, rel=1e-6)
    assert file.depth.values.min() >= np.float32(1 / far) * (1 - 1e-6)
    assert file.depth.values[900, 520] > 3 * file.depth.values[60, 60]  # the table is near, the wall far


# -- Apple ------------------------------------------------------------------------------------------


def mpo_photo(path, codes, *, fields=None, matrix="", exif=b"", kind="disparity", second=None):
    fields = 'apdi:FloatMinValue="0.5" apdi:FloatMaxValue="4.5"' if fields is None else fields
    attributes = f'apdi:AuxiliaryImageType="{kind}" {fields} depthData:Accuracy="relative" {matrix}'
    first = jpeg(PHOTO, exif=exif)
    second = jpeg(codes, app1(STANDARD + xmp(APPLE, attributes))) if second is None else second
    # Pillow's own writer would drop the XMP of the second frame.
    entries = b""
    for size, offset, code in ((0, 0, 0x030000), (len(second), 0, 0)):
        entries += struct.pack("<LLLHH", code, size, offset, 0, 0)
    ifd = struct.pack("<H", 3)
    ifd += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    ifd += struct.pack("<HHII", 0xB001, 4, 1, 2)
    ifd += struct.pack("<HHII", 0xB002, 7, 32, 8 + 2 + 3 * 12 + 4)
    mp = bytearray(b"MPF\0" + b"II*\0" + struct.pack("<I", 8) + ifd + b"\0\0\0\0" + entries)
    # The MPF segment has to come after the others; offsets count from its byte-order mark.
    cut = 2
    while first[cut + 1] in (0xE0, 0xE1):
        cut += 2 + struct.unpack_from(">H", first, cut + 2)[0]
    segment_size = 4 + len(mp)
    base = cut + 4 + 4
    total = len(first) + segment_size
    start = 4 + 8 + 2 + 3 * 12 + 4
    struct.pack_into("<L", mp, start + 4, total)
    struct.pack_into("<L", mp, start + 16 + 8, total - base)
    segment = b"\xff\xe2" + struct.pack(">H", len(mp) + 2) + bytes(mp)
    path.write_bytes(first[:cut] + segment + first[cut:] + second)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_apple_mpo_disparity_becomes_z_and_is_turned(tmp_path, orientation):
    codes = np.repeat(np.repeat(np.array([[0, 60], [140, 255]], np.uint8), 8, axis=0), 16, axis=1)
    mpo_photo(tmp_path / "x.jpg", codes, exif=orientation_exif(orientation))
    assert read_photo_info(tmp_path / "x.jpg").format == "MPO"
    file = read_embedded_depth(tmp_path / "x.jpg")
    want = upright(1 / (0.5 + codes / 255 * 4), orientation)
    np.testing.assert_allclose(file.depth.values, want, rtol=2e-6)  # constant JPEG blocks are exact
    assert file.depth.kind == "metric"
    assert file.provenance == {"source": "apple-mpo", "accuracy": "relative"}
    assert load_image(tmp_path / "x.jpg").shape == upright(PHOTO, orientation).shape


def test_apple_mpo_depth_and_what_lies_behind_infinity(tmp_path):
    codes = np.full((8, 8), 255, np.uint8)
    mpo_photo(tmp_path / "z.jpg", codes, kind="depth")
    np.testing.assert_allclose(read_embedded_depth(tmp_path / "z.jpg").depth.values, 4.5)
    mpo_photo(tmp_path / "inf.jpg", codes * 0, fields='apdi:FloatMinValue="-1" apdi:FloatMaxValue="2"')
    assert not read_embedded_depth(tmp_path / "inf.jpg").depth.valid.any()


def test_apple_mpo_without_a_range_or_with_another_auxiliary(tmp_path, codes):
    for fields in ("", *(f'apdi:FloatMinValue="0.5" apdi:FloatMaxValue="{far}"' for far in ("nan", "inf"))):
        mpo_photo(tmp_path / "x.jpg", codes, fields=fields)
        with pytest.raises(UnreadableFileError, match="does not state its range"):
            read_embedded_depth(tmp_path / "x.jpg")
    mpo_photo(tmp_path / "gain.jpg", codes, kind="urn:com:apple:photo:2020:aux:hdrgainmap")
    assert read_embedded_depth(tmp_path / "gain.jpg") is None
    mpo_photo(tmp_path / "odd.jpg", codes, second=b"no JPEG at all")
    assert read_embedded_depth(tmp_path / "odd.jpg") is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("by_column", [True, False])
def test_apple_mpo_matrix_is_scaled_and_turned(tmp_path, codes, orientation, by_column):
    """Its reference is twice the photo's 18x12, and its origin the picture's corner."""
    k = np.array([[40, 0, 17], [0, 44, 13], [0, 0, 1.0]])
    items = "".join(f"<rdf:li>{x:g}</rdf:li>" for x in (k.T if by_column else k).ravel())
    inner = f"<depthData:IntrinsicMatrix><rdf:Seq>{items}</rdf:Seq></depthData:IntrinsicMatrix>"
    sizes = 'depthData:IntrinsicMatrixReferenceWidth="36" depthData:IntrinsicMatrixReferenceHeight="24"'
    fields = 'apdi:AuxiliaryImageType="disparity" apdi:FloatMinValue="1" apdi:FloatMaxValue="2" ' + sizes
    second = jpeg(codes, app1(STANDARD + xmp(APPLE, fields, inner)))
    mpo_photo(tmp_path / "x.jpg", codes, second=second, exif=orientation_exif(orientation))
    got = np.array(read_photo_info(tmp_path / "x.jpg").embedded_matrix).reshape(3, 3)
    # By hand: half of K in 18x12, then the principal point (8.5, 6.5) goes where its pixel goes.
    fx, fy, cx, cy = 20, 22, 8.5, 6.5
    at = {
        1: (cx, cy), 2: (18 - cx, cy), 3: (18 - cx, 12 - cy), 4: (cx, 12 - cy),
        5: (cy, cx), 6: (12 - cy, cx), 7: (12 - cy, 18 - cx), 8: (cy, 18 - cx),
    }[orientation]  # fmt: skip
    focal = (fy, fx) if orientation > 4 else (fx, fy)
    np.testing.assert_allclose(got, [[focal[0], 0, at[0]], [0, focal[1], at[1]], [0, 0, 1]], atol=1e-9)


def test_the_real_heic_of_a_phone(shared_data):
    """The expected codes come from the decoder's own project; z from Apple's definition of disparity."""
    file = read_embedded_depth(shared_data / "heic/pug.heic")
    codes = np.asarray(Image.open(shared_data / "heic/pug_depth.png").convert("L")).astype(np.float64)
    want = 1 / (1.498046875 + codes / 255 * (4.3828125 - 1.498046875))
    np.testing.assert_allclose(file.depth.values, want, rtol=1e-6)
    assert file.depth.kind == "metric"
    assert file.provenance == {"source": "apple-heic", "accuracy": "unknown"}
    for name in ("arrow", "aux_YCbCr"):
        assert read_embedded_depth(shared_data / f"heic/{name}.heic") is None


class StubbedDepthImage:
    """Stands for pillow-heif's, whose encoder writes no depth."""

    def __init__(self, array, metadata):
        self.info = {"metadata": metadata}
        self.array = array

    def to_pillow(self):
        if self.array is None:
            raise RuntimeError("decoder failed")
        return Image.fromarray(self.array)


@pytest.fixture
def heic_with(tmp_path, monkeypatch):
    def make(array, metadata, orientation=1):
        pillow_heif.register_heif_opener()
        image = Image.fromarray(np.zeros((64, 96, 3), np.uint8))
        image.info["exif"] = orientation_exif(orientation)
        image.save(tmp_path / "x.heic")
        real_open = Image.open

        def with_depth(file):
            opened = real_open(file)
            opened.info["depth_images"] = [StubbedDepthImage(array, metadata)]
            return opened

        monkeypatch.setattr(Image, "open", with_depth)
        return tmp_path / "x.heic"

    return make


@pytest.mark.parametrize(
    ("metadata", "z_of_share"),
    [
        ({"representation_type": 1, "d_min": 0.5, "d_max": 2.5}, lambda s: 1 / (0.5 + 2 * s)),
        ({"representation_type": 0, "z_near": 0.5, "z_far": 4.0}, lambda s: 1 / (0.25 + s * 1.75)),
        ({"representation_type": 2, "z_near": 0.5, "z_far": 4.0}, lambda s: 4.0 - 3.5 * s),
    ],
)  # fmt: skip
def test_representations_of_heic_put_255_near(heic_with, codes, metadata, z_of_share):
    depth = read_embedded_depth(heic_with(codes, metadata)).depth
    np.testing.assert_allclose(depth.values, z_of_share(codes / 255), rtol=1e-6)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_heic_map_that_lies_beside_its_photo_is_turned(heic_with, codes, orientation):
    metadata = {"representation_type": 1, "d_min": 1.0, "d_max": 2.0}
    depth = read_embedded_depth(heic_with(codes, metadata, orientation)).depth
    want = 1 / (1 + codes / 255)
    np.testing.assert_allclose(
        depth.values, upright(want, orientation) if orientation > 4 else want, rtol=1e-6
    )


@pytest.mark.parametrize(
    "metadata", [{}, {"representation_type": 3}, {"representation_type": 0, "z_near": 0}]
)
def test_unknown_representations_are_left_out_and_noted(heic_with, codes, metadata, caplog):
    caplog.set_level(logging.WARNING, "depth3d")
    assert read_embedded_depth(heic_with(codes, metadata)) is None
    assert "not known" in caplog.text


def test_a_heic_map_that_does_not_decode(heic_with):
    with pytest.raises(UnreadableFileError, match=r"depth in .* is damaged"):
        read_embedded_depth(heic_with(None, {"representation_type": 1, "d_min": 1, "d_max": 2}))


@pytest.mark.parametrize("point", [(48, 31), (31, 48)])
def test_a_heif_matrix_in_either_frame_ends_upright(point):
    """Tall photo of 64x96, coded lying: the one with its centre near the middle is the upright one."""

    class Opened:
        format = "HEIF"
        info = {  # noqa: RUF012
            "heif": {
                "camera_intrinsic_matrix": {
                    "focal_length_x": 80, "focal_length_y": 81,
                    "principal_point_x": point[0], "principal_point_y": point[1],
                }
            }
        }  # fmt: skip

    got = embedded_matrix("x.heic", Opened, 6, (64, 96))
    assert got == (
        (81, 0, 64 - 31, 0, 80, 48, 0, 0, 1) if point[0] == 48 else (80, 0, 31, 0, 81, 48, 0, 0, 1)
    )


# -- photos without, and XMP ------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_most_photos_carry_no_depth(tmp_path, format_):
    Image.fromarray(PHOTO).save(tmp_path / "x", format=format_)
    assert read_embedded_depth(tmp_path / "x") is None


def test_entities_are_refused_and_broken_xml_is_no_xmp():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x a="1">&a;</x>'
    assert parse_xmp(b'<x a="1"/>') == {"a": ["1"]}
    assert parse_xmp(bomb) == {}
    for junk in (b"", b"<x", b"\xff\xfe", b'<x a="1"></y>', b"\0" * 9):
        assert parse_xmp(junk) == {}


def test_xmp_arrays_and_attributes():
    packet = xmp(
        'xmlns:n="u/"', 'n:a="1"', "<n:b><rdf:Seq><rdf:li>2</rdf:li><rdf:li>3</rdf:li></rdf:Seq></n:b>"
    )
    properties = parse_xmp(b"<?xpacket begin=''?>" + packet + b"<?xpacket end='w'?>\0\0")
    assert (properties["u/a"], properties["u/b"]) == (["1"], ["2", "3"])


def test_segments_of_damaged_jpegs_end_quietly():
    data = jpeg(PHOTO, app1(STANDARD + xmp('xmlns:n="u/"', 'n:a="1"')))
    assert jpeg_xmp(data)["u/a"] == ["1"]
    for length in range(0, 400, 7):
        assert all(isinstance(payload, bytes) for _, _, payload in jpeg_segments(data[:length]))
    assert list(jpeg_segments(b"\xff\xd8\xff\xe1\0\0\xff\xe1\0\0")) != []  # a length of 0 does not loop
