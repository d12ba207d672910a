"""The report of a calibration: one file, everything in it, for every kind of reference."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import depth3d as d3
from depth3d.calibration_report import law_lines, next_to_measure, reference_rows, save_report
from depth3d.errors import UnsupportedFormatError
from depth3d.photo_depth import PhotoDepth

WIDTH, HEIGHT = 160, 120
CAMERA = d3.Camera.from_fov(WIDTH, HEIGHT, 60)


def z_at(u, v):
    return 1 / (0.1 + 0.001 * u + 0.006 * v)


def photo():
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return PhotoDepth(image, d3.DepthMap(2 / z_at(u, v) - 0.1, "relative"), CAMERA, "mini <of> a test")


def references():
    uv = np.random.default_rng(1).uniform((5, 5), (155, 115), (300, 2))
    length = np.linalg.norm(
        CAMERA.rays([40.0, 90.0]) * z_at(40, 90) - CAMERA.rays([120.0, 90.0]) * z_at(120, 90)
    )
    height = (70 - 50) / CAMERA.fy * z_at(30, 60)
    away = np.linalg.norm(CAMERA.rays([140.0, 30.0])) * z_at(140, 30)
    return [
        d3.Anchor(20, 100, z_at(20, 100)),
        d3.Anchor(120, 20, z_at(120, 20)),
        d3.Anchor(80, 60, 2.5 * z_at(80, 60)),
        d3.RangeAnchor(140, 30, away),
        d3.KnownLength(40, 90, 120, 90, length),
        d3.KnownSize(25, 50, 35, 70, height),
        d3.FarPoint(5, 1, 5.0),
        d3.DepthSamples(uv, z_at(*uv.T), "constant", 0.03, independent=20, label="a LiDAR <b>"),
    ]


@pytest.fixture(scope="module")
def fit():
    return d3.calibrate(photo().depth, references(), camera=CAMERA)


def test_rows_say_what_became_of_each_reference(fit):
    rows = reference_rows(fit, references())
    assert [row.number for row in rows] == list(range(1, 9))
    assert [row.used for row in rows] == [True, True, False, True, True, True, True, True]
    assert rows[2].residual_rel == pytest.approx(1 / 2.5 - 1, abs=0.02)
    assert rows[2].cells[2:] == (
        "rejected",
        f"{rows[2].residual_m:+.3f} m",
        f"{100 * rows[2].residual_rel:+.1f} %",
    )
    assert rows[6].cells[3:] == ("", "")
    assert dict(law_lines(fit))["law"] == "1/z = scale * d + shift"


def test_html_is_one_file_with_four_pictures_and_every_reference(fit, tmp_path):
    save_report(tmp_path / "r.html", photo(), references(), fit)
    text = (tmp_path / "r.html").read_text()
    pictures = re.findall(r"src='data:image/png;base64,([^']+)'", text)
    assert len(pictures) == text.count("<img") == 4
    for encoded in pictures:
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
    assert not re.search(r"https?://|<script|<link", text)
    assert text.count("<tr class='out'>") == 1
    assert "a LiDAR &lt;b&gt;" in text
    assert "mini &lt;of&gt; a test" in text
    assert next_to_measure(fit, photo()).sentence in text


def test_picture_shows_the_references_where_they_are(fit, tmp_path):
    """Used ones are green and rejected ones red, at their pixels; without them neither colour is there."""
    black = replace(photo(), image=np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    chosen = [references()[i] for i in (0, 1, 3)]
    plain = d3.calibrate(black.depth, chosen, camera=CAMERA)
    save_report(tmp_path / "used.png", black, chosen, plain)
    save_report(tmp_path / "both.png", black, references()[:4], replace(fit, inliers=fit.inliers[:4]))
    red, green = np.array([198, 40, 40]), np.array([26, 127, 75])
    for name, expected in (("used.png", False), ("both.png", True)):
        picture = d3.load_image(tmp_path / name).astype(int)
        upper = picture[: len(picture) // 2, : picture.shape[1] // 2]
        assert (np.abs(upper - green).sum(axis=-1) < 12).any()
        assert (np.abs(upper - red).sum(axis=-1) < 12).any() == expected


@pytest.mark.parametrize("form", ["scale", "tilted", "spline"])
def test_every_law_can_be_drawn(form, tmp_path):
    source, known = photo(), references()[-1:]
    if form == "scale":
        v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        source = replace(source, depth=d3.DepthMap(0.9 * z_at(u, v), "metric"))
    law = d3.calibrate(source.depth, [replace(known[0], independent=None)], camera=CAMERA, form=form)
    assert law.form == form
    save_report(tmp_path / "r.png", source, known, law)
    assert d3.load_image(tmp_path / "r.png").std() > 10


def test_no_more_is_asked_for_where_it_would_not_help(fit):
    """With parameters known for sure the map's own error is left, which no distance lowers."""
    sure = tuple(tuple(1e-6 * number for number in row) for row in fit.covariance)
    assert next_to_measure(fit, photo()) is not None
    assert next_to_measure(replace(fit, covariance=sure), photo()) is None
    assert next_to_measure(replace(fit, covariance=None), photo()) is None


def test_other_suffixes_are_refused(fit, tmp_path):
    with pytest.raises(UnsupportedFormatError, match=r"use one of \.html"):
        save_report(tmp_path / "r.pdf", photo(), references(), fit)
    assert not list(tmp_path.iterdir())
