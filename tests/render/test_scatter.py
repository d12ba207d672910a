"""The laws of blur: constants, energy, radii, sharp things stay sharp, discs cover by their area."""

import numpy as np
import pytest
import torch

from depth3d.render.aperture import Aperture
from depth3d.render.hidden import HiddenLayer, hidden_layer
from depth3d.render.scatter import Surface, scatter

DISC = Aperture()


def blurred(image, radius, aperture=DISC, behind=None, **options):
    """Spread an (H, W, 3) picture, with what is behind its silhouettes."""
    image, radius = image.astype(np.float32), radius.astype(np.float32)
    behind = behind or hidden_layer(image, radius, gain=1.0)

    def surface(light, r, mask=None):
        light = torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1)))
        return Surface(light, torch.from_numpy(r), None if mask is None else torch.from_numpy(mask))

    spread = scatter(
        surface(image, radius), surface(behind.color, behind.disparity, behind.mask), aperture, **options
    )
    return spread.numpy().transpose(1, 2, 0)


def lone_light(radius, size=301, **options):
    image = np.zeros((size, size, 3))
    image[size // 2, size // 2] = 1
    return blurred(image, np.full((size, size), radius), **options)[..., 0]


def rough_radii(shape, seed=0, spread=30):
    """Radii that drift on both sides of the focus, with a step through them."""
    import cv2

    drift = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=shape), (0, 0), 15) * 300
    drift[:, : shape[1] // 3] += 20
    return np.clip(drift, -spread, spread)


def test_a_constant_picture_stays_constant():
    spread = blurred(np.full((150, 201, 3), 0.3), rough_radii((150, 201)))
    np.testing.assert_allclose(spread, 0.3, atol=1e-5)


@pytest.mark.parametrize("radius", [0.3, 1, 3, 7.7, 9, 16.5, 25, 60, -3, -12, -40])
def test_a_light_keeps_its_energy_and_has_the_radius_asked_for(radius):
    disc = lone_light(radius)
    assert disc.sum() == pytest.approx(1, abs=1e-3)
    if abs(radius) < 2:
        return
    # A disc of radius r has a mean squared distance of r^2 / 2 from its middle, and its edge is at r.
    y, x = np.mgrid[: len(disc), : len(disc)] - len(disc) // 2
    assert np.sqrt(2 * (disc * (x**2 + y**2)).sum()) == pytest.approx(abs(radius), abs=0.5)
    # The profile along a row falls to half at the rim.
    row = disc[len(disc) // 2, len(disc) // 2 :]
    half = row[: int(abs(radius) / 2) + 1].mean() / 2
    assert np.interp(-half, -row, np.arange(len(row))) == pytest.approx(
        abs(radius), abs=0.7 + 0.02 * abs(radius)
    )


def test_a_sharp_subject_is_copied_and_never_bleeds():
    radius = np.full((150, 200), -25.0)
    radius[40:110, 60:140] = 0
    subject = radius == 0
    image = np.random.default_rng(1).random((150, 200, 3))
    np.testing.assert_array_equal(blurred(image, radius)[subject], image.astype(np.float32)[subject])
    red_on_blue = np.zeros((150, 200, 3))
    red_on_blue[subject, 0], red_on_blue[~subject, 2] = 1, 1
    assert blurred(red_on_blue, radius)[~subject, 0].max() < 1 / 255 / 12.92  # a byte's step, in linear light


@pytest.mark.parametrize("radius", [6.0, 12.0, 20.0, 45.0])
def test_a_blurred_foreground_covers_by_the_area_of_the_disc(radius):
    radii = np.zeros((160, 260))
    radii[:, :130] = radius
    white = np.zeros((160, 260, 3))
    white[:, :130] = 1
    t = np.clip((np.arange(260) + 0.5 - 130) / radius, -1, 1)
    segment = (np.arccos(t) - t * np.sqrt(1 - t**2)) / np.pi
    np.testing.assert_allclose(blurred(white, radii)[80, :, 0], segment, atol=0.01)


def test_the_background_shows_what_is_known_of_it_through_a_blurred_foreground():
    radii = np.zeros((100, 160))
    radii[:, 70:90] = 12
    image = np.full((100, 160, 3), 0.25)
    image[:, 70:90] = 0
    # A bar of 20 pixels is never opaque when blurred by discs of 24, and all behind it is 0.25.
    row = blurred(image, radii)[50, :, 0]
    x = np.linspace(-12, 12, 4001)
    chord = 2 * np.sqrt(144 - x**2) / (np.pi * 144)
    for column in (75, 80, 85, 92):
        inside = (column + 0.5 - x >= 70) & (column + 0.5 - x <= 90)
        covered = np.trapezoid(np.where(inside, chord, 0), x)
        assert row[column] == pytest.approx(0.25 * (1 - covered), abs=0.004)


def test_the_opening_is_upside_down_in_front_of_the_focus():
    triangle = Aperture(blades=3, rotation_deg=20)
    np.testing.assert_allclose(
        lone_light(14, aperture=triangle), lone_light(-14, aperture=triangle)[::-1, ::-1], atol=1e-6
    )
    assert np.abs(lone_light(14, aperture=triangle) - lone_light(-14, aperture=triangle)).max() > 1e-3


def test_colour_fringes_are_discs_of_different_radii():
    image = np.zeros((101, 101, 3))
    image[50, 50] = 1
    spread = blurred(image, np.full((101, 101), 12.0), fringe_px=(-2.0, 0.0, 2.0))
    y, x = np.mgrid[:101, :101] - 50
    radii = [np.sqrt(2 * (spread[..., c] * (x**2 + y**2)).sum() / spread[..., c].sum()) for c in range(3)]
    np.testing.assert_allclose(radii, [10, 12, 14], atol=0.3)


def test_the_result_does_not_depend_on_tiles():
    # The same content at another place of the grid of tiles; far enough from borders to be equal.
    rng = np.random.default_rng(2)
    image, radius = rng.random((330, 330, 3)), np.where(rng.random((330, 330)) < 0.5, 4.0, -4.0)
    behind = hidden_layer(image.astype(np.float32), radius.astype(np.float32), gain=1.0)
    behind_part = HiddenLayer(behind.color[30:, 30:], behind.disparity[30:, 30:], behind.mask[30:, 30:])
    whole = blurred(image, radius, behind=behind)
    part = blurred(image[30:, 30:], radius[30:, 30:], behind=behind_part)
    np.testing.assert_allclose(whole[70:-40, 70:-40], part[40:-40, 40:-40], atol=1e-4)
