"""Depth files, read back by NumPy, OpenCV and Pillow."""

import json
import re

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import (
    FileError,
    InputError,
    OutputExistsError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from depth3d.io.depth_files import DEPTH_SUFFIXES, load_depth, read_depth, save_depth

H, W = 5, 7
CAMERA = Camera(80.5, 81, 3.25, 2.5, W, H, distortion=(0.1, -0.05), source="file", sigma_rel=0.01)
PROVENANCE = {"model": "small", "photo": "Bärenhöhle.jpg"}


@pytest.fixture(scope="module")
def metric():
    values = np.random.default_rng(1).uniform(0.3, 60, (H, W)).astype(np.float32)
    values[1, 2] = np.nan
    return DepthMap(values, "metric")


@pytest.fixture(scope="module")
def relative():
    values = np.random.default_rng(2).normal(2, 3, (H, W)).astype(np.float32)  # negative ones as well
    values[3, 0] = np.nan
    return DepthMap(values, "relative")


@pytest.mark.parametrize("name", ["metric", "relative"])
@pytest.mark.parametrize("suffix", [".npz", ".tif", ".tiff", ".exr"])
def test_float_formats_keep_everything(tmp_path, request, name, suffix):
    depth = request.getfixturevalue(name)
    save_depth(depth, tmp_path / f"d{suffix}", camera=CAMERA, provenance=PROVENANCE)
    file = read_depth(tmp_path / f"d{suffix}")
    np.testing.assert_array_equal(file.depth.values, depth.values)
    assert file.depth.kind == depth.kind
    assert repr(file.camera) == repr(CAMERA)
    assert file.camera.distortion == CAMERA.distortion
    assert file.provenance == PROVENANCE


@pytest.mark.parametrize("name", ["metric", "relative"])
@pytest.mark.parametrize("suffix", [".npy", ".pfm"])
def test_formats_without_room_keep_the_numbers_and_ask_for_the_kind(tmp_path, request, name, suffix):
    depth = request.getfixturevalue(name)
    path = tmp_path / f"d{suffix}"
    save_depth(depth, path, camera=CAMERA, provenance=PROVENANCE)
    np.testing.assert_array_equal(load_depth(path, kind=name).values, depth.values)
    with pytest.raises(InputError, match=r"--depth-kind relative\|metric"):
        read_depth(path)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5), (6, 1)])
@pytest.mark.parametrize("suffix", DEPTH_SUFFIXES)
def test_thin_and_unknown_maps(tmp_path, suffix, width, height):
    for values in (np.full((height, width), 2.0), np.full((height, width), np.nan)):
        for kind in ("metric", "relative"):
            save_depth(DepthMap(values, kind), tmp_path / f"d{suffix}")
            got = load_depth(tmp_path / f"d{suffix}", kind=kind)
            np.testing.assert_array_equal(got.values, values)


# -- others read what we write ----------------------------------------------------------------------


def test_numpy_reads_our_npz_and_npy(tmp_path, metric):
    save_depth(metric, tmp_path / "d.npz", camera=CAMERA)
    with np.load(tmp_path / "d.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["depth"], metric.values)
        assert archive["depth"].dtype == np.float32
        assert json.loads(str(archive["depth3d"]))["camera"]["fx"] == 80.5
    save_depth(metric, tmp_path / "d.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "d.npy", allow_pickle=False), metric.values)


@pytest.mark.parametrize("suffix", [".pfm", ".tif"])
def test_opencv_and_pillow_read_our_floats(tmp_path, metric, suffix):
    save_depth(metric, tmp_path / f"d{suffix}")
    theirs = cv2.imread(str(tmp_path / f"d{suffix}"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(theirs, metric.values)
    assert theirs.dtype == np.float32
    with Image.open(tmp_path / f"d{suffix}") as image:
        np.testing.assert_array_equal(np.asarray(image), metric.values)


# -- 16-bit PNG -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1000.0, 256.0, 5000.0])
def test_metric_png_is_rounded_to_units_and_knows_its_scale(tmp_path, metric, scale, caplog):
    near = DepthMap(metric.values / 10, "metric")
    path = tmp_path / "d.png"
    save_depth(near, path, png_scale=scale, camera=CAMERA, provenance=PROVENANCE)
    theirs = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    want = np.nan_to_num(np.rint(near.values.astype(np.float64) * scale)).astype(np.uint16)
    np.testing.assert_array_equal(theirs, want)
    assert theirs.dtype == np.uint16
    file = read_depth(path)
    np.testing.assert_allclose(file.depth.values, near.values, atol=0.5 / scale + 1e-6)
    assert (file.depth.kind, file.provenance, repr(file.camera)) == ("metric", PROVENANCE, repr(CAMERA))
    assert caplog.text == ""


def test_metric_png_clips_and_says_so_and_never_wraps(tmp_path, caplog):
    values = np.array([[0.0001, 0.001, 65.535, 65.6, 1000.0, np.nan]], np.float32)
    save_depth(DepthMap(values, "metric"), tmp_path / "d.png")
    theirs = np.asarray(Image.open(tmp_path / "d.png"))
    np.testing.assert_array_equal(theirs, [[1, 1, 65535, 65535, 65535, 0]])
    assert caplog.text.count("3 pixels lie outside") == 1


def test_relative_png_comes_back_within_half_a_step(tmp_path, relative):
    save_depth(relative, tmp_path / "d.png")
    theirs = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    assert (theirs == 0).sum() == 1
    assert theirs[relative.valid].min() == 1
    assert theirs.max() == 65535
    nearest = np.nanargmax(relative.values)
    assert theirs.ravel()[nearest] == 65535  # near is bright
    got = load_depth(tmp_path / "d.png")
    assert got.kind == "relative"
    step = np.ptp(relative.values[relative.valid]) / 65534
    np.testing.assert_allclose(got.values, relative.values, atol=0.5 * step + 1e-6)


def test_png_scale_and_kind_that_are_given_go_before_what_the_file_says(tmp_path, metric):
    save_depth(metric, tmp_path / "d.png")
    stored = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    got = load_depth(tmp_path / "d.png", png_scale=500)
    np.testing.assert_allclose(got.values, np.where(stored, stored / 500, np.nan), rtol=1e-6)
    save_depth(metric, tmp_path / "d.npz")
    assert load_depth(tmp_path / "d.npz", kind="relative").kind == "relative"


@pytest.mark.parametrize("scale", [None, 256.0, 5000.0])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_foreign_16_bit_pictures_are_millimetres_unless_told(tmp_path, scale, suffix):
    stored = np.array([[0, 1, 1000], [2560, 40000, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / f"d{suffix}"), stored)
    got = load_depth(tmp_path / f"d{suffix}", png_scale=scale)
    assert got.kind == "metric"
    want = np.where(stored == 0, np.nan, stored / (scale or 1000))
    np.testing.assert_allclose(got.values, want, rtol=1e-6)


def test_foreign_8_bit_pictures_are_relative_and_near_is_bright(tmp_path):
    stored = np.array([[0, 1, 128], [7, 250, 255]], np.uint8)
    for name, array in (("gray.png", stored), ("rgb.png", np.dstack([stored] * 3))):
        cv2.imwrite(str(tmp_path / name), array)
        got = load_depth(tmp_path / name)
        assert got.kind == "relative"
        np.testing.assert_array_equal(got.values, stored)  # 0 is the farthest, not unknown
    metres = load_depth(tmp_path / "gray.png", kind="metric", png_scale=10)
    np.testing.assert_allclose(metres.values, np.where(stored, stored / 10, np.nan), rtol=1e-6)
    with pytest.raises(InputError, match="--png-scale"):
        load_depth(tmp_path / "gray.png", kind="metric")


def test_16_bit_relative_on_request(tmp_path):
    stored = np.array([[0, 500, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), stored)
    np.testing.assert_array_equal(load_depth(tmp_path / "d.png", kind="relative").values, stored)


# -- foreign floats ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrays",
    [
        {"arr_0": "map"},
        {"anything": "map"},  # the only map
        {"depth": "map", "confidence": "other"},
        {"K": "small", "x": "map", "name": "text"},
        {"pred": "batch"},  # (1, H, W)
    ],
)
def test_foreign_npz(tmp_path, metric, arrays):
    made = {
        "map": metric.values,
        "other": metric.values * 2,
        "small": np.ones(3),
        "text": np.array("words"),
        "batch": metric.values[None],
    }
    np.savez(tmp_path / "d.npz", **{name: made[what] for name, what in arrays.items()})
    np.testing.assert_array_equal(load_depth(tmp_path / "d.npz", kind="metric").values, metric.values)


def test_foreign_npy_of_integers_and_doubles(tmp_path):
    np.save(tmp_path / "mm.npy", np.array([[1500, 0]], np.uint16))
    np.testing.assert_allclose(load_depth(tmp_path / "mm.npy", kind="metric").values, [[1.5, np.nan]])
    with pytest.raises(InputError, match="integers"):
        load_depth(tmp_path / "mm.npy")
    np.save(tmp_path / "d.npy", np.array([[0.5, np.inf, -1.0]]))
    np.testing.assert_array_equal(load_depth(tmp_path / "d.npy", kind="relative").values, [[0.5, np.nan, -1]])
    with pytest.raises(InputError, match=r"d\.npy: metric depth must not be negative"):
        load_depth(tmp_path / "d.npy", kind="metric")


@pytest.mark.parametrize("order", ["<", ">"])
def test_foreign_pfm_of_both_byte_orders(tmp_path, metric, order):
    """The scale's magnitude says nothing about depth, and benchmarks write odd ones."""
    head = f"Pf\n{W} {H}\n{-0.003922 if order == '<' else 0.003922}\n".encode()
    (tmp_path / "d.pfm").write_bytes(head + metric.values[::-1].astype(f"{order}f4").tobytes())
    np.testing.assert_array_equal(load_depth(tmp_path / "d.pfm", kind="metric").values, metric.values)


def test_opencv_pfm_and_tiff_are_read(tmp_path, metric):
    for suffix in (".pfm", ".tiff"):
        cv2.imwrite(str(tmp_path / f"d{suffix}"), metric.values)
        got = load_depth(tmp_path / f"d{suffix}", kind="metric")
        np.testing.assert_array_equal(got.values, metric.values)


# -- damage, and what is refused --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", DEPTH_SUFFIXES)
def test_no_prefix_of_a_file_is_taken_for_the_whole(tmp_path, suffix):
    depth = DepthMap(np.random.default_rng(0).uniform(1, 9, (12, 16)), "metric")
    save_depth(depth, tmp_path / f"d{suffix}", provenance=PROVENANCE)
    data = (tmp_path / f"d{suffix}").read_bytes()
    # What closes a PNG (checksums, the last chunk) and the directory of a TIFF hold none of the numbers.
    last = {".png": len(data) - 21, ".tif": len(data) // 2, ".tiff": len(data) // 2}.get(
        suffix, len(data) - 1
    )
    for length in {0, 1, 3, 8, 40, *np.linspace(50, last, 12).astype(int).tolist()}:
        (tmp_path / f"cut{suffix}").write_bytes(data[:length])
        with pytest.raises(FileError) as caught:
            read_depth(tmp_path / f"cut{suffix}", kind="metric")
        assert f"cut{suffix}" in str(caught.value)


def test_our_png_that_a_program_cut_to_8_bits_is_refused(tmp_path, metric):
    save_depth(metric, tmp_path / "d.png")
    with Image.open(tmp_path / "d.png") as opened:
        text = PngInfo()
        text.add_text("depth3d", opened.info["depth3d"])
        eight = Image.fromarray((np.asarray(opened) // 257).astype(np.uint8))
    eight.save(tmp_path / "d.png", pnginfo=text)
    with pytest.raises(UnreadableFileError, match="damaged"):
        read_depth(tmp_path / "d.png")


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda d, p: save_depth(d, p / "d.jpg"), UnsupportedFormatError, "use one of .npz"),
        (lambda d, p: save_depth(d, p / "d"), UnsupportedFormatError, "without suffix"),
        (lambda d, p: save_depth(d, p / "d.png", png_scale=0), InputError, "png_scale"),
        (lambda d, p: save_depth(d, p / "d.png", png_scale=float("nan")), InputError, "png_scale"),
        (lambda d, p: save_depth(d, p / "no" / "d.png"), FileError, "create it first"),
        (lambda d, p: load_depth(p / "d.npz", kind="disparity"), InputError, "kind must be"),
        (lambda d, p: load_depth(p / "d.npz", png_scale=-1), InputError, "png_scale"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, metric, call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call(metric, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_kept_unless_told(tmp_path, metric):
    (tmp_path / "d.npz").write_text("precious")
    with pytest.raises(OutputExistsError, match="overwrite"):
        save_depth(metric, tmp_path / "d.npz", overwrite=False)
    assert (tmp_path / "d.npz").read_text() == "precious"


def test_colour_pictures_hold_no_depth(tmp_path):
    colours = np.zeros((3, 3, 3), np.uint8)
    colours[0, 0] = (1, 2, 3)
    cv2.imwrite(str(tmp_path / "d.png"), colours)
    with pytest.raises(UnsupportedFormatError, match="colour picture"):
        load_depth(tmp_path / "d.png")


def test_real_maps(shared_data):
    disparity = load_depth(shared_data / "pairs/snack_disparity.png")
    assert (disparity.kind, disparity.size_wh) == ("relative", (1440, 809))
    for path, scale in (("open3d_depth_syn/depth_syn.png", 1000.0),):
        stored = cv2.imread(str(shared_data / path), cv2.IMREAD_UNCHANGED)
        got = load_depth(shared_data / path, png_scale=scale)
        np.testing.assert_allclose(got.values, np.where(stored, stored / scale, np.nan), rtol=1e-6)
