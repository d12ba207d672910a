"""From raw depth to metres: references, saved calibrations, whom they belong to, and the focal correction."""

from dataclasses import replace

import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import InputError
from depth3d.metres import check_belongs, fit_sentence, to_metres
from depth3d.photo_depth import PhotoDepth, is_depth_file, photo_sha256, read_depth_alone, read_photo_depth

WIDTH, HEIGHT = 80, 60
CAMERA = d3.Camera.from_fov(WIDTH, HEIGHT, 60)
IMAGE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def inverse_depth():
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return 0.2 + 0.003 * u + 0.005 * v


def raw(kind="relative", **fields):
    values = (inverse_depth() - 0.1) / 0.5 if kind == "relative" else 0.8 / inverse_depth()
    defaults = {"source": "mini", "model": "mini", "input_size": 384}
    return PhotoDepth(IMAGE, d3.DepthMap(values, kind), CAMERA, **{**defaults, **fields})


def anchors(*pixels):
    return [d3.Anchor(u, v, 1 / (0.2 + 0.003 * u + 0.005 * v)) for u, v in pixels]


THREE = ((10.5, 10.5), (40.5, 30.5), (70.5, 50.5))


@pytest.mark.parametrize(
    ("kind", "pixels"), [("relative", THREE), ("relative", THREE[::2]), ("metric", THREE[:1])]
)
def test_references_give_true_metres(kind, pixels):
    made = to_metres(raw(kind), references=anchors(*pixels))
    np.testing.assert_allclose(1 / made.depth.values, inverse_depth(), rtol=1e-4)
    assert (made.calibration.model, made.calibration.input_size) == ("mini", 384)
    assert made.calibration.photo_sha256 == photo_sha256(IMAGE)
    assert made.notes[0] == fit_sentence(made.calibration)
    assert f"{len(pixels)} of {len(pixels)} reference" in made.notes[0]


def test_open_photo_takes_references_and_keeps_what_measure_needs(tmp_path):
    d3.save(IMAGE, tmp_path / "photo.png")
    opened = d3.open_photo(
        tmp_path / "photo.png", depth=raw().depth, references=anchors(*THREE), fov_x_deg=60
    )
    np.testing.assert_allclose(1 / opened.scene.depth.values, inverse_depth(), rtol=1e-4)
    assert any("metres from 3 of 3" in line for line in opened.comments)
    found = d3.measure(opened.raw_depth, opened.scene.camera, THREE[:1], calibration=opened.calibration)
    assert found.depths_m[0] == pytest.approx(anchors(*THREE)[0].depth_m, rel=1e-4)
    assert 0 < found.depth_sigma_m[0] < 0.15 * found.depths_m[0]


def test_a_calibration_knows_its_photo_network_and_size():
    fit = to_metres(raw(), references=anchors(*THREE)).calibration
    assert to_metres(raw(), calibration=fit).notes == ()
    again = d3.Calibration.from_json(fit.to_json())
    np.testing.assert_array_equal(
        to_metres(raw(), calibration=again).depth.values, fit.apply(raw().depth).values
    )
    other = to_metres(replace(raw(), image=IMAGE[::-1]), calibration=fit)
    assert len(other.notes) == 1
    assert "another photo" in other.notes[0]
    unknown = to_metres(raw(source="d.npy", model=None, input_size=None), calibration=fit)
    assert "d.npy does not tell what made it" in unknown.notes[0]
    # A file alone can't tell which photo it belongs to.
    assert to_metres(replace(raw(), image=None), calibration=fit).notes == ()


@pytest.mark.parametrize(
    ("fields", "given"),
    [({"model": "small"}, "small at 384 px"), ({"input_size": 512}, "mini at 512 px")],
)
def test_depth_of_another_network_or_size_is_refused_unless_forced(fields, given):
    fit = to_metres(raw(), references=anchors(*THREE)).calibration
    with pytest.raises(
        InputError, match=f"belongs to depth by mini at 384 px and this depth is by {given}.*--force"
    ):
        check_belongs(fit, raw(**fields))
    forced = to_metres(raw(**fields), calibration=fit, force=True)
    assert "by force" in forced.notes[0]


def test_what_contradicts_is_refused():
    fit = to_metres(raw(), references=anchors(*THREE)).calibration
    with pytest.raises(InputError, match="give one of them"):
        to_metres(raw(), calibration=fit, references=anchors(*THREE))
    with pytest.raises(InputError, match="gives metres already"):
        to_metres(raw("metric"), calibration=fit, force=True)
    scale = to_metres(raw("metric"), references=anchors(*THREE[:1])).calibration
    assert scale.form == "scale"
    with pytest.raises(InputError, match="scales metric depth and mini gives relative"):
        to_metres(raw(), calibration=scale, force=True)


def test_focal_correction_scales_by_the_focal_length():
    photo = raw("metric", model="metric-indoor-small", input_size=518)
    made = to_metres(photo, focal_correct=True)
    # Hypersim: 886.81 px at a shorter side of 768.
    factor = CAMERA.fx / HEIGHT / (886.81 / 768)
    np.testing.assert_allclose(made.depth.values, photo.depth.values * factor, rtol=1e-5)
    assert "nothing was measured" in made.notes[0]


@pytest.mark.parametrize(
    ("photo", "more", "match"),
    [
        (raw(), {}, "belongs to the depth of a metric model"),
        (raw("metric", model=None), {}, "belongs to the depth of a metric model"),
        (raw("metric"), {}, "trained on Hypersim or Virtual KITTI"),
        (raw("metric"), {"references": anchors(*THREE)}, "leave focal_correct"),
        (
            replace(raw("metric"), camera=replace(CAMERA, source="assumed")),
            {},
            "focal length, which is unknown",
        ),
    ],
)
def test_focal_correction_that_makes_no_sense_is_refused(photo, more, match):
    with pytest.raises(InputError, match=match):
        to_metres(photo, focal_correct=True, **more)


def test_what_made_a_depth_file_is_read_from_it(tmp_path):
    d3.save(IMAGE, tmp_path / "photo.png")
    d3.save(raw().depth, tmp_path / "d.npz", provenance={"depth": "mini", "input_size": "384"}, camera=CAMERA)
    d3.save(raw().depth, tmp_path / "odd.npz", provenance={"input_size": "-3"})
    photo = read_photo_depth(tmp_path / "photo.png", depth=tmp_path / "d.npz")
    assert (photo.model, photo.input_size, photo.source) == ("mini", 384, "d.npz of mini")
    alone = read_depth_alone(tmp_path / "d.npz")
    assert (alone.model, alone.image, alone.sha256) == ("mini", None, None)
    assert alone.camera.fx == CAMERA.fx
    odd = read_depth_alone(tmp_path / "odd.npz")
    assert (odd.model, odd.input_size, odd.camera.source) == (None, None, "assumed")
    assert len(odd.notes) == 1
    assert is_depth_file(tmp_path / "d.npz")
    assert not is_depth_file(tmp_path / "photo.png")


def test_the_hash_is_of_the_pixels_and_their_shape(tmp_path):
    d3.save(IMAGE, tmp_path / "a.png")
    d3.save(IMAGE, tmp_path / "b.tif")
    hashes = {photo_sha256(d3.load_image(tmp_path / name)) for name in ("a.png", "b.tif")}
    assert hashes == {photo_sha256(IMAGE)}
    assert photo_sha256(IMAGE) != photo_sha256(IMAGE.reshape(WIDTH, HEIGHT, 3))
    assert photo_sha256(IMAGE) != photo_sha256(IMAGE[:, ::-1])
