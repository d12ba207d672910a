"""Colours of films, against the formulas of their standards: matrix, range, bits, HDR, alpha, fields."""

from fractions import Fraction

import av
import numpy as np
import pytest

import depth3d as d3
from depth3d.io.video_colors import FrameColors, srgb_of
from depth3d.io.video_graph import FrameGraph

SHARES = {"BT.601": (0.299, 0.114), "BT.709": (0.2126, 0.0722), "BT.2020": (0.2627, 0.0593)}
"""Of red and blue in luma: ITU-R BT.601-7, BT.709-6, BT.2020-2."""

PATCHES = np.array(
    [(255, 255, 255), (0, 0, 0), (128, 128, 128), (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 60, 30),
     (30, 90, 210), (250, 220, 10)], float,
)  # fmt: skip


def coded(rgb, matrix, bits, *, is_full):
    """Y, Cb, Cr of RGB in 0..255, rounded, as the standards define them."""
    red, blue = SHARES[matrix]
    r, g, b = np.moveaxis(np.asarray(rgb) / 255, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    if is_full:
        most, half = 2**bits - 1, 2 ** (bits - 1)
        planes = (y * most, cb * most + half, cr * most + half)
    else:
        scale = 2 ** (bits - 8)
        planes = ((219 * y + 16) * scale, (224 * cb + 128) * scale, (224 * cr + 128) * scale)
    return [np.clip(np.rint(plane), 0, 2**bits - 1) for plane in planes]


def frame_of(planes, pixels, size_wh=(144, 48), tags=(2, 0, 2, 2)):
    """Make a frame of vertical stripes of these values; tags are matrix, range, curve, primaries."""
    frame = av.VideoFrame(*size_wh, pixels)
    kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    for plane, values in zip(frame.planes, planes, strict=True):
        stripes = np.repeat(np.atleast_1d(values), -(-plane.width // len(np.atleast_1d(values))))
        rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, : plane.width] = stripes[: plane.width]
        plane.update(rows)
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = tags
    return frame


def stripes(image, count=9):
    width = image.shape[1] // count
    return image[image.shape[0] // 2, width // 2 :: width].astype(float)


LOSSLESS = {"qp": "0"}
# encoder, pixels, bits
DEEP = [
    ("libx264", "yuv420p", 8),
    ("libx264", "yuv422p10le", 10),
    ("libx264", "yuv444p10le", 10),
    ("ffv1", "yuv444p12le", 12),
]


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize(("matrix", "tag"), [("BT.601", 5), ("BT.601", 6), ("BT.709", 1), ("BT.2020", 9)])
@pytest.mark.parametrize(("codec", "pixels", "bits"), DEEP)
def test_every_matrix_range_and_depth_gives_the_same_colours(
    codec, pixels, bits, matrix, tag, is_full, write_film, tmp_path
):
    tags = (tag, 2 if is_full else 1, 2, 2)
    frame = frame_of(coded(PATCHES, matrix, bits, is_full=is_full), pixels, tags=tags)
    options = LOSSLESS if codec == "libx264" else {}
    path = write_film(tmp_path / "a.mkv", [frame], codec=codec, pixels=pixels, options=options)
    with d3.open_video(path) as film:
        image = next(film.frames()).image
    assert (film.bits, film.color_range) == (bits, "full" if is_full else "limited")
    assert film.facts.color == matrix
    assert film.notes == ()
    # Rounding of Y, Cb and Cr to 8 bit costs up to 1.6 in blue, and of the result 0.5.
    np.testing.assert_allclose(stripes(image), PATCHES, atol=2.0 if bits == 8 else 1.0)


@pytest.mark.parametrize(
    ("size_wh", "matrix"),
    [((144, 48), "BT.601"), ((1024, 576), "BT.601"), ((144, 720), "BT.709"), ((1280, 48), "BT.709")],
)
def test_the_size_tells_the_matrix_where_no_tag_does(size_wh, matrix, write_film, tmp_path):
    frame = frame_of(coded(PATCHES, matrix, 8, is_full=False), "yuv420p", size_wh)
    path = write_film(tmp_path / "a.mkv", [frame], options=LOSSLESS)
    with d3.open_video(path) as film:
        image = next(film.frames()).image
    assert (film.facts.color, film.color_range) == (matrix, "limited")
    width = size_wh[0] / len(PATCHES)
    found = image[10, ((np.arange(len(PATCHES)) + 0.5) * width).astype(int)]
    np.testing.assert_allclose(found, PATCHES, atol=2.0)


def test_gray_ramps_keep_all_their_levels(write_film, tmp_path):
    frame = frame_of([np.arange(0, 256), [128], [128]], "yuv420p", (256, 16), tags=(1, 2, 2, 2))
    path = write_film(tmp_path / "a.mkv", [frame], options=LOSSLESS)
    image = next(d3.open_video(path).frames()).image
    np.testing.assert_array_equal(image[8], np.arange(256)[:, None].repeat(3, 1))


@pytest.mark.parametrize(
    ("codec", "pixels", "place"),
    [("libx264", "yuv420p", 0), ("libx264", "yuv422p", 0), ("rawvideo", "yuv420p", 0.5)],
)
def test_colours_at_half_resolution_are_not_shifted(codec, pixels, place, write_film, tmp_path):
    """H.264 measures them at every other pixel, Y4M between two: a ramp in x comes back as that ramp."""
    shift = []
    for slope in (0.5, -0.5):
        chroma = 128 + slope * (2 * np.arange(64) - 64)  # at the pixels 2 i + place
        frame = frame_of([[128], [128], chroma], pixels, (128, 32), tags=(5, 1, 2, 2))
        options = LOSSLESS if codec == "libx264" else {}
        path = write_film(tmp_path / "a.nut", [frame], codec=codec, pixels=pixels, options=options)
        image = next(d3.open_video(path).frames()).image
        red = 255 * 1.402 * slope / 224  # what a pixel adds
        want = 255 * (128 - 16) / 219 + red * (np.arange(128) - place - 64)
        shift.append((image[16, 8:-8, 0] - want[8:-8]).mean() / red)
    assert abs(shift[0] + shift[1]) / 2 < 0.1  # in pixels; half a pixel where the place is mistaken


def srgb(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def pq_of(nits):
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875  # SMPTE ST 2084
    y = (np.asarray(nits, float) / 10000) ** m1
    return ((c1 + c2 * y) / (1 + c3 * y)) ** m2


def hlg_of(scene):
    scene = np.asarray(scene, float)  # ITU-R BT.2100-2
    high = 0.17883277 * np.log(12 * np.maximum(scene, 1 / 12) - 0.28466892) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def shown(nits):
    """What a gray of HDR comes out as: 203 cd/m2 is white, from 0.6 of it on rolled off to 1000."""
    x = np.asarray(nits, float) / 203
    s, most = (x - 0.6) / 0.4, (1000 / 203 - 0.6) / 0.4
    return 255 * srgb(
        np.where(x <= 0.6, x, np.where(s >= most, 1, 0.6 + 0.4 * s * (1 + s / most**2) / (1 + s)))
    )


GRAYS_NITS = np.array([0, 1, 5, 20, 60, 100, 203, 400, 1000])


@pytest.mark.parametrize("curve", ["PQ", "HLG"])
def test_hdr_is_brought_down_by_the_curve_that_is_written(curve, write_film, tmp_path):
    if curve == "PQ":
        encoded, trc = pq_of(GRAYS_NITS), 16
    else:
        encoded, trc = hlg_of((GRAYS_NITS / 1000) ** (1 / 1.2)), 18  # the display's gamma undone
    planes = [np.rint(4 * (219 * encoded + 16)), [512], [512]]
    frame = frame_of(planes, "yuv420p10le", tags=(9, 1, trc, 9))
    path = write_film(tmp_path / "a.mkv", [frame], pixels="yuv420p10le", options=LOSSLESS)
    with d3.open_video(path) as film:
        image = next(film.frames()).image
    assert film.facts.color == f"BT.2020 {curve}"
    assert any("HDR" in note for note in film.notes)
    found = stripes(image)
    np.testing.assert_allclose(found, shown(GRAYS_NITS)[:, None].repeat(3, 1), atol=3)
    assert (found.max(axis=1) - found.min(axis=1) <= 1).all()  # gray stays gray


def test_grays_and_near_grays_of_hdr_agree_with_the_formulas_between_the_entries_of_the_table():
    colors = FrameColors("", True, "PQ", "BT.2020")
    draw = np.random.default_rng(0)
    encoded = np.clip(draw.uniform(0, 0.75, (64, 64, 1)) + draw.normal(0, 0.02, (64, 64, 3)), 0, 1)
    white = 255 * 256  # of FFmpeg in 16 bit
    frame = av.VideoFrame.from_ndarray(np.rint(white * encoded).astype(np.uint16), format="rgb48le")
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 0, 2, 16, 9
    image = next(FrameGraph(frame, (64, 64)).images(frame))[1]
    off = image - 255 * srgb_of(encoded, colors)
    assert abs(off.mean()) < 0.2
    assert np.percentile(np.abs(off), 95) < 1.5
    gray = np.linspace(0, 0.9, 100)[:, None].repeat(3, 1)
    nits = 10000 * (
        np.maximum(gray ** (1 / 78.84375) - 0.8359375, 0) / (18.8515625 - 18.6875 * gray ** (1 / 78.84375))
    ) ** (1 / 0.1593017578125)
    np.testing.assert_allclose(255 * srgb_of(gray, colors), shown(nits), atol=0.05)


def test_a_wide_gamut_is_narrowed(write_film, tmp_path):
    """The primaries of BT.709 written in those of BT.2020 come back as themselves."""
    from_709 = np.array([(0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)])
    colors = np.array([(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8), (0.5, 0.5, 0.5), (0.9, 0.7, 0.2)])
    wide = 255 * srgb(colors @ from_709.T)  # ITU-R BT.2087
    frame = frame_of(coded(wide, "BT.2020", 10, is_full=False), "yuv444p10le", (80, 16), tags=(9, 1, 14, 9))
    path = write_film(tmp_path / "a.mkv", [frame], pixels="yuv444p10le", options=LOSSLESS)
    image = next(d3.open_video(path).frames()).image
    np.testing.assert_allclose(stripes(image, 5), 255 * srgb(colors), atol=2.5)


def test_transparent_pictures_are_laid_over_black(write_film, tmp_path):
    alpha = np.linspace(0, 255, 9).round()
    image = np.zeros((48, 144, 4), np.uint8)
    image[..., :3] = (250, 120, 20)
    image[..., 3] = alpha.repeat(16)
    frames = [av.VideoFrame.from_ndarray(image, format="rgba") for _ in range(2)]
    path = write_film(tmp_path / "a.mov", frames, codec="png", pixels="rgba")
    with d3.open_video(path) as film:
        found = stripes(next(film.frames()).image)
    np.testing.assert_allclose(found, np.outer(alpha / 255, (250, 120, 20)), atol=0.75)
    assert film.notes == ("it is transparent in part, and laid over black",)
    # Halved, so that each new pixel covers opaque gray and what lies, white, under transparency.
    image[...] = (100, 100, 100, 255)
    image[:, ::2] = (255, 255, 255, 0)
    frames = [av.VideoFrame.from_ndarray(image, format="rgba")]
    path = write_film(tmp_path / "b.mov", frames, codec="png", pixels="rgba")
    small = next(d3.open_video(path, size=72).frames()).image
    np.testing.assert_allclose(small, 50, atol=1)


def test_opaque_pictures_with_an_alpha_channel_are_exact_and_need_no_note(write_film, tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (24, 32, 4), dtype=np.uint8)
    image[..., 3] = 255
    frames = [av.VideoFrame.from_ndarray(image, format="rgba")]
    path = write_film(tmp_path / "a.mov", frames, codec="png", pixels="rgba")
    with d3.open_video(path) as film:
        np.testing.assert_array_equal(next(film.frames()).image, image[..., :3])
    assert film.notes == ()


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_the_second_stream_of_a_transparent_webm_is_its_alpha(codec, write_film, tmp_path):
    def setup(_, stream):
        stream.metadata["alpha_mode"] = "1"

    image = np.full((48, 64, 4), 200, np.uint8)
    image[:, :32, 3], image[:, 32:, 3] = 255, 80
    frames = [av.VideoFrame.from_ndarray(image, format="rgba").reformat(format="yuva420p") for _ in range(3)]
    options = {"auto-alt-ref": "0", "crf": "4", "b": "1000000"}
    path = write_film(
        tmp_path / "a.webm", frames, codec=codec, pixels="yuva420p", setup=setup, options=options
    )
    with d3.open_video(path) as film:
        for frame in film:
            np.testing.assert_allclose(frame.image[:, :28], 200, atol=4)
            np.testing.assert_allclose(frame.image[:, 36:], 200 * 80 / 255, atol=4)
    assert frame.number == 2
    assert film.facts.has_alpha


def test_fields_of_different_times_become_whole_frames(write_film, tmp_path):
    """A bar that moves between the two fields of a frame is a comb if fields are shown as they are."""

    def setup(_, stream):
        stream.codec_context.flags |= 0x40000 | 0x20000000  # interlaced DCT and motion estimation

    count, height, width = 8, 64, 96
    images = np.full((count, height, width, 3), 40, np.uint8)
    for number in range(count):
        for field in (0, 1):
            at = 8 + 8 * number + 4 * field
            images[number, field::2, at : at + 12] = 220
    path = write_film(
        tmp_path / "a.mkv", images, codec="mpeg2video", setup=setup, options={"b": "8000000", "top": "1"}
    )
    with d3.open_video(path) as film:
        frames = list(film)
    assert film.facts.is_interlaced
    assert any("interlaced" in note for note in film.notes)
    assert len(frames) == count
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(count)]
    gray = np.stack([frame.image[8:-8, :, 1].astype(float) for frame in frames[2:-2]])
    comb = np.abs(gray[:, 2:-2:2] - (gray[:, 1:-3:2] + gray[:, 3:-1:2]) / 2).max(axis=(1, 2))
    assert (comb < 60).all()  # as they are: 180
