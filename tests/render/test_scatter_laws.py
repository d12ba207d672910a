"""Laws of blur that hold for any picture, radius and opening: drawn at random."""

import math

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from depth3d.render.aperture import Aperture
from depth3d.render.hidden import hidden_layer
from depth3d.render.scatter import Surface, scatter

BRIEFLY = settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate])
SEEDS = st.integers(0, 2**32 - 1)
APERTURES = st.builds(
    Aperture,
    blades=st.sampled_from([0, 3, 5, 6, 9]),
    roundness=st.floats(0, 1),
    rotation_deg=st.floats(0, 360),
    squeeze=st.floats(0.5, 2),
    bubble=st.floats(-1, 3),
)


def blurred(image, radius, aperture=None, device="cpu", **options):
    """Spread an (H, W, 3) picture, with what is behind its silhouettes."""
    image, radius = image.astype(np.float32), radius.astype(np.float32)
    behind = hidden_layer(image, radius, gain=1.0)

    def surface(light, r, mask=None):
        parts = [np.ascontiguousarray(light.transpose(2, 0, 1)), r, mask]
        return Surface(*(None if part is None else torch.from_numpy(part).to(device) for part in parts))

    hidden = surface(behind.color, behind.disparity, behind.mask)
    spread = scatter(surface(image, radius), hidden, aperture or Aperture(), **options)
    return spread.cpu().numpy().transpose(1, 2, 0)


def patches(chance, shape, most):
    """Radii of a slanted ground with rectangles before it, on either side of the focus."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    radius = chance.uniform(-most, most) + chance.uniform(-0.2, 0.2) * y + chance.uniform(-0.2, 0.2) * x
    for _ in range(4):
        top, left = chance.integers(0, shape[0]), chance.integers(0, shape[1])
        part = (slice(top, top + chance.integers(1, 60)), slice(left, left + chance.integers(1, 60)))
        radius[part] = np.maximum(radius[part], chance.uniform(-most, most))
    return np.clip(radius, -most, most)


@given(SEEDS, APERTURES, st.floats(0, 1), st.sampled_from([3.0, 12.0, 30.0]))
@BRIEFLY
def test_a_constant_picture_stays_constant(seed, aperture, level, most):
    radius = patches(np.random.default_rng(seed), (77, 91), most)
    image = np.full((77, 91, 3), level)
    np.testing.assert_allclose(blurred(image, radius, aperture), level, atol=1e-5)


@given(APERTURES, st.floats(-40, 40), st.integers(-15, 15), st.integers(-15, 15))
@BRIEFLY
def test_a_light_keeps_its_energy_whatever_the_opening(aperture, radius, right, down):
    size = 4 * math.ceil(abs(radius)) + 61  # nearer to the border light is what the border's colours say
    image = np.zeros((size, size, 3))
    image[size // 2 + down, size // 2 + right] = 50
    spread = blurred(image, np.full((size, size), radius), aperture)
    np.testing.assert_allclose(spread.sum(axis=(0, 1)), 50, rtol=1e-3)
    assert spread.min() > -1e-4


@given(st.floats(1, 50), st.booleans())
@BRIEFLY
def test_a_light_has_the_radius_of_the_formula(radius, front):
    size = 4 * math.ceil(radius) + 21
    image = np.zeros((size, size, 3))
    image[size // 2, size // 2] = 1
    disc = blurred(image, np.full((size, size), radius if front else -radius))[..., 0]
    y, x = np.mgrid[:size, :size] - size // 2
    # A disc of radius r has a mean squared distance of r^2 / 2 from its middle.
    assert math.sqrt(2 * (disc * (x**2 + y**2)).sum() / disc.sum()) == pytest.approx(radius, abs=0.5)


@given(SEEDS, st.sampled_from([4.0, 14.0, 33.0]))
@BRIEFLY
def test_what_is_in_focus_is_the_photos_own_and_never_bleeds(seed, most):
    chance = np.random.default_rng(seed)
    radius = -np.abs(patches(chance, (81, 101), most)) - 3
    subject = np.zeros(radius.shape, bool)
    for _ in range(3):
        top, left = chance.integers(0, 60), chance.integers(0, 80)
        subject[top : top + chance.integers(1, 50), left : left + chance.integers(1, 50)] = True
    radius[subject] = chance.uniform(-0.5, 0.5, subject.sum())
    image = chance.random((*radius.shape, 3)).astype(np.float32)
    image[..., 0] = subject  # red is the subject's alone
    spread = blurred(image, radius)
    np.testing.assert_array_equal(spread[subject], image[subject])
    assert np.abs(spread[~subject, 0]).max() < 1 / 255 / 12.92  # a byte's step, in linear light


@given(st.floats(3, 40), st.sampled_from([0, 90, 180, 270]) | st.floats(0, 360))
@BRIEFLY
def test_a_blurred_half_plane_covers_by_the_segment_of_the_disc(radius, angle_deg):
    size = 2 * math.ceil(radius) + 60
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    across = x * math.cos(math.radians(angle_deg)) + y * math.sin(math.radians(angle_deg))
    white = np.repeat((across < 0)[..., None], 3, axis=2)
    spread = blurred(white, np.where(across < 0, radius, 0.0))[..., 0]
    t = np.clip(across / radius, -1, 1)
    segment = (np.arccos(t) - t * np.sqrt(1 - t**2)) / np.pi
    middle = np.hypot(x, y) < 12
    # The staircase of a slanted edge is itself off by half a pixel at most, which covers half of 2 / (pi r).
    staircase = 0 if angle_deg % 90 == 0 else 0.5 * 2 / (math.pi * radius)
    np.testing.assert_allclose(spread[middle], segment[middle], atol=0.01 + staircase)


@given(SEEDS, APERTURES, st.floats(2, 25))
@BRIEFLY
def test_in_front_of_the_focus_the_opening_is_turned_by_half_a_turn(seed, aperture, radius):
    image = np.random.default_rng(seed).random((64, 96, 3))
    near = blurred(image, np.full((64, 96), radius), aperture)
    far = blurred(image[::-1, ::-1], np.full((64, 96), -radius), aperture)[::-1, ::-1]
    np.testing.assert_allclose(near, far, atol=2e-5)


@given(st.sampled_from([3, 4, 5, 6, 8]), st.floats(8, 40), st.floats(0, 360))
@BRIEFLY
def test_n_blades_make_a_highlight_of_n_corners(blades, radius, rotation):
    kernel = Aperture(blades=blades, rotation_deg=rotation).kernel(radius)
    y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
    angle, rho = np.arctan2(-y, x), np.hypot(x, y)
    harmonics = [abs((kernel * rho**2 * np.exp(1j * k * angle)).sum()) for k in range(1, 10)]
    turn = np.angle((kernel * rho**2 * np.exp(1j * blades * angle)).sum())
    # The first harmonic of a regular polygon about its middle is that of its number of corners.
    assert np.argmax(harmonics) == blades - 1
    assert max(harmonics[: blades - 1]) < 0.05 * harmonics[blades - 1] + 0.02 * radius
    corner = math.radians(rotation) * blades
    assert abs(math.remainder(turn - corner, 2 * math.pi)) < 0.15


@given(SEEDS, st.floats(0.1, 10))
@BRIEFLY
def test_light_adds_up(seed, gain):
    chance = np.random.default_rng(seed)
    radius = np.linspace(-9, 22, 70)[:, None] + np.zeros(60)  # a ground, which hides nothing
    first, second = chance.random((2, 70, 60, 3))
    both = blurred(first + gain * second, radius)
    np.testing.assert_allclose(both, blurred(first, radius) + gain * blurred(second, radius), rtol=1e-4)


def test_a_single_pixel_and_a_row_are_spread():
    np.testing.assert_allclose(blurred(np.full((1, 1, 3), 0.4), np.full((1, 1), 9.0)), 0.4, atol=1e-5)
    np.testing.assert_allclose(blurred(np.full((1, 70, 3), 0.4), np.full((1, 70), -35.0)), 0.4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_spreads_as_the_cpu_does():
    chance = np.random.default_rng(3)
    image, radius = chance.random((300, 400, 3)), patches(chance, (300, 400), 45.0)
    on_cpu = blurred(image, radius, Aperture(blades=6, cats_eye=0.4))
    on_gpu = blurred(image, radius, Aperture(blades=6, cats_eye=0.4), device="cuda")
    np.testing.assert_allclose(on_gpu, on_cpu, atol=2e-3)
