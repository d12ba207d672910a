"""Which source of intrinsics wins, what it gives, and how far each is to be trusted."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass

import pytest

from depth3d.core.camera import CAMERA_SOURCES, Camera
from depth3d.errors import CameraError, FileError, InputError
from depth3d.io.camera_files import save_camera
from depth3d.io.photo_camera import camera_candidates, camera_for

FULL_FRAME = math.hypot(36, 24)


@dataclass
class Info:
    """The part of a photo's facts that the resolver reads."""

    width: int = 4000
    height: int = 3000
    focal_mm: float | None = None
    focal_35mm: float | None = None
    digital_zoom: float | None = None
    exif_size_wh: tuple[int, int] | None = None
    sensor_px_per_mm: float | None = None
    embedded_matrix: tuple[float, ...] | None = None


K = (3100.0, 0.0, 2010.0, 0.0, 3105.0, 1490.0, 0.0, 0.0, 1.0)
ALL = Info(focal_mm=5, focal_35mm=26, sensor_px_per_mm=600, embedded_matrix=K)
"""A photo with everything in it."""


def test_the_order_from_best_to_worst(tmp_path):
    save_camera(Camera.from_fov(4000, 3000, 50), tmp_path / "camera.json")
    known = Camera.from_fov(4000, 3000, 51, source="model")
    sources = {
        "focal_px": 2222.0,
        "camera_file": tmp_path / "camera.json",
        "camera": known,
        "model_fov_x_deg": 70.0,
    }
    seen = []
    info = Info(**vars(ALL))
    for given in (
        "focal_px",
        "camera_file",
        "camera",
        "embedded_matrix",
        "focal_35mm",
        "focal_mm",
        "model_fov_x_deg",
        "-",
    ):
        seen.append(camera_for(info, **sources))
        sources.pop(given, None)
        if hasattr(info, given):
            setattr(info, given, None)
    assert [c.source for c in seen] == [
        "explicit", "file", "model", "embedded", "exif", "exif", "model", "assumed",
    ]  # fmt: skip
    assert seen[0].fx == 2222
    assert seen[1].fov_x_deg == pytest.approx(50)
    assert seen[2] is known
    assert (seen[3].fx, seen[3].fy, seen[3].cx, seen[3].cy) == (3100, 3105, 2010, 1490)
    assert seen[4].fx == pytest.approx(26 * 5000 / FULL_FRAME)
    assert seen[5].fx == pytest.approx(5 * 600)
    assert seen[6].fov_x_deg == pytest.approx(70)
    assert seen[7].fov_x_deg == pytest.approx(60)
    assert all(c.size_wh == (4000, 3000) for c in seen)


@pytest.mark.parametrize(
    ("options", "sigma"),
    [
        ({"focal_px": 3000.0}, 0.0),
        ({"fov_x_deg": 60.0}, 0.0),
        ({"focal_35mm": 26.0}, 0.02),  # the diagonal rule itself is no better
        ({"model_fov_x_deg": 60.0}, 0.05),
        ({}, 0.25),
    ],
)
def test_sigma_of_each_source(options, sigma):
    assert camera_for((4000, 3000), **options).sigma_rel == sigma


def test_sigma_of_what_the_photo_carries():
    assert camera_for(Info(embedded_matrix=K)).sigma_rel == 0.005
    assert camera_for(Info(focal_35mm=26)).sigma_rel == 0.02
    assert camera_for(Info(focal_mm=5, sensor_px_per_mm=600)).sigma_rel == 0.02


def test_exif_against_four_cameras_whose_focal_length_is_known(shared_data):
    cases = json.loads((shared_data / "exif_truth/exif_truth.json").read_text())["cases"]
    assert len(cases) == 4
    for case in cases:
        info = Info(case["width"], case["height"], case.get("focal_mm"), case["f35"])
        camera = camera_for(info)
        assert camera.source == "exif"
        assert camera.fx == pytest.approx(case["fx_true"], rel=0.0145), case["camera"]
        assert abs(camera.fx / case["fx_true"] - 1) < camera.sigma_rel


# -- explicit values -------------------------------------------------------------------------------


def test_explicit_values_have_closed_forms():
    size = (4000, 3000)
    assert camera_for(size, focal_px=3210.5).fx == 3210.5
    assert camera_for(size, fov_x_deg=90).fx == pytest.approx(2000)
    assert camera_for(size, focal_35mm=FULL_FRAME).fx == pytest.approx(5000)  # the diagonal
    assert (camera_for(size, focal_px=1.0).cx, camera_for(size, focal_px=1.0).cy) == (2000, 1500)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"focal_px": 3000.0, "fov_x_deg": 60.0}, "focal_px and fov_x_deg contradict"),
        ({"focal_px": 3000.0, "focal_35mm": 26.0}, "give only one"),
        ({"focal_px": 0.0}, "focal_px must be positive, got 0.0"),
        ({"focal_px": math.nan}, "focal_px must be positive"),
        ({"focal_35mm": -26.0}, "focal_35mm must be positive"),
        ({"fov_x_deg": 180.0}, "between 0 and 180 degrees"),
    ],
)
def test_impossible_explicit_values(options, says):
    with pytest.raises(InputError, match=says):
        camera_for((4000, 3000), **options)


def test_millimetres_given_as_pixels_are_noticed(caplog):
    with caplog.at_level(logging.WARNING, "depth3d"):
        camera_for((4000, 3000), focal_px=26)
    assert "is it millimetres? then give focal_35mm" in caplog.text


def test_a_camera_of_another_size_follows_the_photo_and_one_of_another_shape_is_refused():
    camera = camera_for((400, 300), camera=Camera.from_fov(4000, 3000, 50, source="file"))
    assert (camera.fov_x_deg, camera.size_wh) == (pytest.approx(50), (400, 300))
    with pytest.raises(CameraError, match="another aspect"):
        camera_for((300, 400), camera=camera)


def test_a_file_without_a_size_takes_the_photos(tmp_path):
    (tmp_path / "k.json").write_text('{"K": [500, 0, 319.5, 0, 500, 239.5, 0, 0, 1]}')
    camera = camera_for((640, 480), camera_file=tmp_path / "k.json")
    assert (camera.cx, camera.cy, camera.size_wh) == (320, 240, (640, 480))


# -- EXIF and its doubts -----------------------------------------------------------------------------


def exif(**fields) -> tuple[Camera | None, str]:
    candidate = next(c for c in camera_candidates(Info(**fields)) if c.source == "exif")
    return candidate.camera, candidate.note + " | " + " | ".join(candidate.warnings)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "tells no"),
        ({"focal_35mm": 0}, "tells no"),  # EXIF's own "unknown"
        ({"focal_35mm": math.nan}, "tells no"),
        ({"focal_35mm": 7.9}, "no lens"),
        ({"focal_35mm": 1201}, "no lens"),
        # An iPhone 8 wrote this into 640x480 pictures.
        ({"focal_35mm": 177, "focal_mm": 3.99, "width": 640, "height": 480}, "contradicts the real 3.99 mm"),
        ({"focal_35mm": 20, "focal_mm": 50}, "contradicts"),
    ],
)
def test_equivalents_that_are_not_believed(fields, says):
    camera, note = exif(**fields)
    assert camera is None
    assert says in note
    assert camera_for(Info(**fields)).source == "assumed"


@pytest.mark.parametrize(
    ("fields", "fx", "sigma", "says"),
    [
        # sane: no warning
        ({"focal_35mm": 26}, 26 * 5000 / FULL_FRAME, 0.02, ""),
        ({"focal_35mm": 26, "exif_size_wh": (4000, 3000)}, 26 * 5000 / FULL_FRAME, 0.02, ""),
        # EXIF sizes are as stored, before the photo is turned upright
        ({"width": 3000, "height": 4000, "focal_35mm": 26, "exif_size_wh": (4000, 3000)},
         26 * 5000 / FULL_FRAME, 0.02, ""),
        # resized as a whole: the field of view is what it was
        ({"width": 400, "height": 300, "focal_35mm": 26, "exif_size_wh": (4000, 3000)},
         26 * 500 / FULL_FRAME, 0.02, ""),
        # cropped along one side: the diagonal of the original counts
        ({"height": 2250, "focal_35mm": 26, "exif_size_wh": (4000, 3000)},
         26 * 5000 / FULL_FRAME, math.hypot(0.02, 0.03), "crop of its middle"),
        ({"width": 2250, "height": 4000, "focal_35mm": 26, "exif_size_wh": (4000, 3000)},
         26 * 5000 / FULL_FRAME, math.hypot(0.02, 0.03), "crop of its middle"),
        # cropped and resized: nobody knows
        ({"width": 1000, "height": 1000, "focal_35mm": 26, "exif_size_wh": (4000, 3000)},
         26 * math.hypot(1000, 1000) / FULL_FRAME, math.hypot(0.02, 0.1), "cropped"),
        # an aspect that no sensor has
        ({"width": 4000, "height": 1848, "focal_35mm": 115},
         115 * math.hypot(4000, 1848) / FULL_FRAME, math.hypot(0.02, 0.1), "2.16:1 is none of"),
        # digital zoom
        ({"focal_35mm": 48, "focal_mm": 4.03, "digital_zoom": 1.5},
         48 * 5000 / FULL_FRAME, 0.25, "digital zoom x1.5"),
        ({"focal_35mm": 48, "digital_zoom": 1.2},
         48 * 5000 / FULL_FRAME, math.hypot(0.02, 0.1), "digital zoom"),
        ({"focal_35mm": 26, "digital_zoom": 1.0}, 26 * 5000 / FULL_FRAME, 0.02, ""),
        ({"focal_35mm": 26, "digital_zoom": 0.0}, 26 * 5000 / FULL_FRAME, 0.02, ""),
    ],
)  # fmt: skip
def test_crops_sizes_and_zoom(fields, fx, sigma, says):
    camera, note = exif(**fields)
    assert camera.fx == camera.fy == pytest.approx(fx)
    assert camera.sigma_rel == pytest.approx(sigma)
    assert (camera.cx, camera.cy) == (camera.width / 2, camera.height / 2)
    assert says in note
    assert note.endswith(" | ") == (says == "")  # a warning where there is a doubt, and only there


@pytest.mark.parametrize("aspect", [(3000, 2000), (4000, 3000), (1000, 1000), (1920, 1080), (2832, 2128)])
@pytest.mark.parametrize("turned", [False, True])
def test_aspects_of_sensors_raise_no_doubt(aspect, turned, caplog):
    with caplog.at_level(logging.WARNING, "depth3d"):
        camera_for(Info(*(aspect[::-1] if turned else aspect), focal_35mm=26))
    assert caplog.text == ""


def test_the_doubts_of_the_source_that_is_taken_are_logged_and_no_others(caplog):
    odd = Info(4000, 1848, focal_35mm=115)
    with caplog.at_level(logging.WARNING, "depth3d"):
        camera_for(odd, focal_px=9000.0)
        assert caplog.text == ""
        camera_for(odd)
    assert "may be cropped" in caplog.text


def test_the_sensors_resolution_follows_a_resize():
    info = Info(400, 300, focal_mm=5, sensor_px_per_mm=600, exif_size_wh=(4000, 3000))
    assert camera_for(info).fx == pytest.approx(300)


@pytest.mark.parametrize("px_per_mm", [2.8, 1e6])  # 72 dpi, as careless editors write, and nonsense
def test_a_resolution_that_is_no_sensors(px_per_mm):
    assert camera_for(Info(focal_mm=5, sensor_px_per_mm=px_per_mm)).source == "assumed"


# -- the matrix in the photo, the model, the assumption -----------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        ((0.0, 0, 2000, 0, 0.0, 1500, 0, 0, 1), "must be positive pixels"),
        ((math.nan, 0, 2000, 0, 3000, 1500, 0, 0, 1), "fx must be"),
        ((3000, 0, 5000, 0, 3000, 1500, 0, 0, 1), "centre outside"),
        ((3000, 0, 2000), "unusable"),
    ],
)
def test_an_impossible_matrix_in_the_photo_is_passed_over(matrix, says):
    info = Info(focal_35mm=26, embedded_matrix=matrix)
    assert camera_for(info).source == "exif"
    assert says in next(c.note for c in camera_candidates(info) if c.source == "embedded")


def test_an_impossible_field_of_view_of_a_model_is_passed_over():
    assert camera_for((40, 30), model_fov_x_deg=180.0).source == "assumed"


def test_the_assumption_does_not_depend_on_how_the_photo_is_held():
    landscape, portrait = camera_for((4000, 3000)), camera_for((3000, 4000))
    assert landscape.fx == portrait.fx == pytest.approx(2000 / math.tan(math.radians(30)))
    assert portrait.fov_y_deg == pytest.approx(60)


# -- real files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "f35", "doubtful"),
    [
        ("pug.heic", (4032, 3024), 26, False),  # iPhone 13 Pro
        ("arrow.heic", (3024, 4032), 28, False),  # iPhone 8 Plus, held upright: EXIF still says 4032x3024
        ("aux_YCbCr.heic", (4000, 1848), 115, True),  # Galaxy S25 Ultra, 2.16:1
    ],
)
def test_phones(shared_data, caplog, name, size, f35, doubtful):
    with caplog.at_level(logging.WARNING, "depth3d"):
        camera = camera_for(shared_data / "heic" / name)
    assert (camera.source, camera.size_wh) == ("exif", size)
    assert camera.fx == pytest.approx(f35 * math.hypot(*size) / FULL_FRAME)
    assert ("may be cropped" in caplog.text) == doubtful == (camera.sigma_rel > 0.05)


def test_a_photo_held_upright_gets_an_upright_camera(tmp_path):
    from PIL import Image

    exif_tags = Image.Exif()
    exif_tags[0x0112] = 6  # Orientation: turn clockwise to view
    exif_tags.get_ifd(0x8769)[0xA405] = 26  # FocalLengthIn35mmFilm
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.jpg", exif=exif_tags)
    camera = camera_for(str(tmp_path / "photo.jpg"))
    assert camera.size_wh == (30, 40)
    assert camera.fx == pytest.approx(26 * 50 / FULL_FRAME)


# -- explanations -----------------------------------------------------------------------------------


def test_every_candidate_says_why(tmp_path):
    candidates = camera_candidates(ALL, model_fov_x_deg=70)
    assert {c.source for c in candidates} <= set(CAMERA_SOURCES)
    assert [(c.source, c.camera is not None) for c in candidates] == [
        ("explicit", False), ("file", False), ("embedded", True), ("exif", True), ("exif", True),
        ("model", True), ("assumed", True),
    ]  # fmt: skip
    notes = [c.note for c in candidates]
    assert notes[2] == "the photo's own camera matrix"
    assert all("not taken, since embedded goes first" in note for note in notes[3:])
    assert all("given" in note for note in notes[:2])


def test_photos_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="positive pixels, got 0x3"):
        camera_for((0, 3))
    with pytest.raises(FileError):
        camera_for((40, 30), camera_file=tmp_path / "none.json")
