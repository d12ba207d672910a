"""The circle of confusion, against two rays through the rim of the lens."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.lens import (
    ThinLens,
    circle_of_confusion_px,
    depth_of_field_m,
    focal_35mm_of,
    hyperfocal_m,
)
from depth3d.errors import InputError

LENS = ThinLens(0.02)


@pytest.mark.parametrize("z", [0.3, 1.0, 1.9, 2.0, 2.1, 5.0, 100.0])
def test_the_disc_is_where_the_rim_rays_meet_the_plane_in_focus(z):
    """Rays from (0, z) through (+-A/2, 0) cross the plane in focus A |z - zf| / z apart."""
    focus, fx = 2.0, 1500.0
    rim = np.array([0.01, -0.01])
    at_focus = rim * (1 - focus / z)  # a straight line from (0, z) to (rim, 0), at z = focus
    want = fx * abs(at_focus[0] - at_focus[1]) / focus
    got = circle_of_confusion_px(np.array(z), focus_m=focus, lens=LENS, fx_px=fx)
    assert got == pytest.approx(want, abs=1e-9)


def test_it_is_linear_in_inverse_depth_and_in_the_aperture_and_in_fx():
    inverse = np.linspace(0.01, 3, 50)
    blur = circle_of_confusion_px(1 / inverse, focus_m=2.0, lens=LENS, fx_px=1000)
    np.testing.assert_allclose(blur, 20 * np.abs(inverse - 0.5), rtol=1e-12, atol=1e-12)
    wide = circle_of_confusion_px(1 / inverse, focus_m=2.0, lens=ThinLens(0.04), fx_px=500)
    np.testing.assert_allclose(wide, blur, rtol=1e-12)


def test_the_horizon_and_the_unknown():
    blur = circle_of_confusion_px(np.array([np.inf, np.nan, 2.0]), focus_m=2.0, lens=LENS, fx_px=1000)
    np.testing.assert_array_equal(blur, [10, np.nan, 0])
    far = circle_of_confusion_px(np.array([np.inf, 1.0]), focus_m=np.inf, lens=LENS, fx_px=1000)
    np.testing.assert_array_equal(far, [0, 20])


def test_a_pinhole_is_sharp_everywhere():
    np.testing.assert_array_equal(
        circle_of_confusion_px(np.array([0.1, 9.0]), focus_m=1.0, lens=ThinLens(0.0), fx_px=1000), 0
    )


def test_what_photographers_say():
    assert ThinLens.from_f_number(50, 1.8).aperture_m == pytest.approx(0.0277778, abs=1e-7)
    assert repr(ThinLens.from_f_number(50, 2)) == "ThinLens(aperture 25 mm)"


@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf])
def test_impossible_openings(value):
    with pytest.raises(InputError, match="aperture_m must be 0 or more"):
        ThinLens(value)


@pytest.mark.parametrize(
    ("focal", "number", "says"), [(0, 2, "focal_mm"), (50, 0, "f_number"), (50, math.nan, "f_number")]
)
def test_impossible_f_numbers(focal, number, says):
    with pytest.raises(InputError, match=f"{says} must be positive"):
        ThinLens.from_f_number(focal, number)


@pytest.mark.parametrize("focus", [0.0, -1.0, math.nan])
def test_impossible_planes_of_focus(focus):
    with pytest.raises(InputError, match="focus_m must be positive"):
        circle_of_confusion_px(np.ones(3), focus_m=focus, lens=LENS, fx_px=1000)


def test_it_is_a_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LENS.aperture_m = 1.0


def test_the_limits_of_sharpness_have_the_disc_that_was_asked_for():
    near, far = depth_of_field_m(2.0, lens=LENS, fx_px=1000, blur_px=3)
    at_limits = circle_of_confusion_px(np.array([near, far]), focus_m=2.0, lens=LENS, fx_px=1000)
    np.testing.assert_allclose(at_limits, 3, rtol=1e-12)
    assert near < 2 < far


def test_focused_at_the_hyperfocal_distance_the_horizon_and_half_of_it_are_just_sharp():
    hyperfocal = hyperfocal_m(lens=LENS, fx_px=1000, blur_px=2)
    assert circle_of_confusion_px(
        np.array(np.inf), focus_m=hyperfocal, lens=LENS, fx_px=1000
    ) == pytest.approx(2)
    near, far = depth_of_field_m(1.0001 * hyperfocal, lens=LENS, fx_px=1000, blur_px=2)
    assert far == math.inf
    assert near == pytest.approx(hyperfocal / 2, rel=1e-3)


def test_a_pinhole_is_sharp_from_here_to_the_horizon():
    assert depth_of_field_m(1.0, lens=ThinLens(0.0), fx_px=1000, blur_px=2) == (0, math.inf)
    assert hyperfocal_m(lens=ThinLens(0.0), fx_px=1000, blur_px=2) == 0


def test_full_frame_is_the_inverse_of_the_35mm_rule():
    camera = Camera.from_focal_35mm(4000, 3000, 26)
    assert focal_35mm_of(camera) == pytest.approx(26)
    assert ThinLens.on_full_frame(camera, 2).aperture_m == pytest.approx(0.013)


@pytest.mark.parametrize(("name", "value"), [("blur_px", 0), ("fx_px", -1), ("blur_px", math.nan)])
def test_impossible_limits(name, value):
    options = {"lens": LENS, "fx_px": 1000, "blur_px": 2, name: value}
    with pytest.raises(InputError, match=f"{name} must be positive"):
        hyperfocal_m(**options)
    with pytest.raises(InputError, match=f"{name} must be positive"):
        depth_of_field_m(2.0, **options)
