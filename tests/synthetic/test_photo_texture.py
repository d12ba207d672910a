"""A picture on a surface: exact between pixels, mirrored at its edges, and of the right colour from afar."""

import numpy as np
import pytest

from depth3d.core.color import to_linear
from depth3d.errors import InputError
from depth3d.synthetic.photo_texture import Photo


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def at(photo, x, y, footprint_m=0.0):
    """Sample at (x, y) in the picture's pixels, first centre at 0.5, on the sheet z = 0."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    pixel_m = photo.size_m / max(photo.image.shape[:2])
    points = np.stack([x.ravel() * pixel_m, y.ravel() * pixel_m, np.zeros(x.size)])
    return photo(points, np.full(x.size, footprint_m)).T.reshape(*x.shape, 3)


def centres(height, width):
    return np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)


@pytest.mark.parametrize(("height", "width", "size_m"), [(5, 8, 1.0), (9, 4, 0.3), (2, 2, 7.0)])
def test_pixel_centres_have_the_pixels_own_linear_colour(height, width, size_m):
    image = picture(height, width)
    got = at(Photo(image, size_m), *centres(height, width))
    np.testing.assert_allclose(got, to_linear(image), atol=1e-6)


def test_between_centres_it_is_bilinear_in_linear_light():
    image = picture(6, 7)
    photo, linear = Photo(image), to_linear(image).astype(np.float64)
    rng = np.random.default_rng(1)
    for row, column, a, b in zip(
        rng.integers(0, 5, 50), rng.integers(0, 6, 50), rng.random(50), rng.random(50), strict=True
    ):
        want = (
            (1 - a) * (1 - b) * linear[row, column]
            + (1 - a) * b * linear[row, column + 1]
            + a * (1 - b) * linear[row + 1, column]
            + a * b * linear[row + 1, column + 1]
        )
        np.testing.assert_allclose(at(photo, column + 0.5 + b, row + 0.5 + a), want, atol=1e-6)


def test_a_ramp_stays_a_ramp():
    levels = np.linspace(0, 1, 9)
    image = np.zeros((4, 9, 3), np.uint8)
    image[:] = np.round(255 * levels)[None, :, None]
    linear = to_linear(image)[0, :, 0]
    x = np.linspace(0.5, 8.5, 200)
    np.testing.assert_allclose(
        at(Photo(image), x, 2.0)[:, 0], np.interp(x, np.arange(9) + 0.5, linear), atol=1e-6
    )


def test_it_repeats_mirrored_at_its_edges():
    photo = Photo(picture(5, 8), 2.0)
    x, y = np.random.default_rng(2).uniform(-30, 30, (2, 400))
    here = at(photo, x, y)
    for other in ((-x, y), (x, -y), (16 - x, y), (x, 10 - y), (x + 16, y), (x - 32, y + 10)):
        np.testing.assert_allclose(at(photo, *other), here, atol=1e-6)
    assert np.abs(at(photo, x + 8, y) - here).max() > 0.3
    edge = np.linspace(0, 5, 50)
    np.testing.assert_allclose(at(photo, -1e-9, edge), at(photo, 1e-9, edge), atol=1e-6)


@pytest.mark.parametrize("footprint", [2, 4, 1000])
@pytest.mark.parametrize(("height", "width"), [(17, 16), (16, 19), (33, 21)])
def test_from_afar_it_repeats_at_the_same_places(height, width, footprint):
    photo = Photo(picture(height, width))
    x, y = np.random.default_rng(6).uniform(-30, 30, (2, 300))
    footprint_m = footprint / max(height, width)
    here = at(photo, x, y, footprint_m)
    for other in ((-x, y), (x, -y), (2 * width - x, y), (x, 2 * height - y)):
        np.testing.assert_allclose(at(photo, *other, footprint_m), here, atol=1e-5)


def test_size_is_what_the_longer_side_covers():
    image = picture(4, 8)
    small, large = Photo(image, 0.5), Photo(image, 2.0)
    points = np.random.default_rng(3).uniform(-1, 1, (3, 100))
    none = np.zeros(100)
    np.testing.assert_allclose(small(points, none), large(4 * points, none), atol=1e-9)


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 16)])
def test_at_any_distance_the_mean_colour_is_the_pictures(level, height, width):
    image = picture(height, width)
    photo = Photo(image)
    step = 2.0**level
    x, y = np.meshgrid(np.arange(0.25, 2 * width, 0.5), np.arange(0.25, 2 * height, 0.5))
    got = at(photo, x, y, footprint_m=step * photo.size_m / max(height, width))
    np.testing.assert_allclose(got.mean(axis=(0, 1)), to_linear(image).mean(axis=(0, 1)), atol=1e-6)


def test_at_a_footprint_of_two_pixels_it_is_the_mean_of_four():
    image = picture(8, 12)
    photo = Photo(image, 3.0)
    want = to_linear(image).reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    x, y = np.meshgrid(np.arange(1, 12, 2), np.arange(1, 8, 2))
    np.testing.assert_allclose(at(photo, x, y, footprint_m=2 * 3.0 / 12), want, atol=1e-6)


def test_detail_fades_with_distance():
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255
    photo = Photo(image)
    x, y = np.random.default_rng(4).uniform(0, 64, (2, 2000))
    assert at(photo, x, y).std() > 0.15
    for footprint in (2, 5, 100, 1e6):
        np.testing.assert_allclose(at(photo, x, y, footprint / 64), 0.5, atol=1e-6)


def test_points_of_different_footprints_do_not_disturb_each_other():
    photo = Photo(picture(32, 32))
    points = np.random.default_rng(5).uniform(-1, 1, (3, 60))
    footprint_m = np.repeat([0.0, 1 / 16, 1 / 3], 20)
    together = photo(points, footprint_m)
    for part in (slice(0, 20), slice(20, 40), slice(40, 60)):
        np.testing.assert_array_equal(together[:, part], photo(points[:, part], footprint_m[part]))


def test_a_face_along_the_third_axis_has_detail_too():
    photo = Photo(picture(32, 32))
    z = np.linspace(0, 1, 300)
    side = photo(np.stack([np.full(300, 0.2), np.full(300, 0.3), z]), np.zeros(300))
    assert side.std(axis=1).min() > 0.1


@pytest.mark.parametrize("image", [picture(1, 5), picture(5, 1), picture(4, 4)[..., 0], picture(4, 4) / 255])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(InputError):
        Photo(image)


@pytest.mark.parametrize("size_m", [0, -1, float("nan"), float("inf")])
def test_sizes_are_above_0(size_m):
    with pytest.raises(InputError, match="size_m must be above 0"):
        Photo(picture(4, 4), size_m)


def test_the_picture_can_be_a_view_and_is_kept_from_change():
    image = picture(6, 8)
    photo = Photo(image[::-1, ::2])
    before = at(photo, *centres(6, 4))
    image[:] = 0
    np.testing.assert_array_equal(at(photo, *centres(6, 4)), before)
