"""Rays meet shapes where closed forms say, and distances agree with where the rays arrived."""

import math

import numpy as np
import pytest

from depth3d.errors import InputError
from depth3d.synthetic import Box, Lathe, Rectangle, Sphere, cylinder

CUP = Lathe(((0.0, 0.0), (0.3, 0.0), (0.4, 1.0), (0.35, 1.0), (0.25, 0.1), (0.0, 0.1)))
CONE = Lathe(((0.5, 0.0), (0.0, 1.0)))
SHAPES = [Rectangle(1.0, 0.6), Rectangle(), Box((1.0, 0.6, 0.8)), Sphere(0.7), cylinder(0.4, 1.2), CUP, CONE]


def column(*xyz):
    return np.array(xyz, dtype=float)[:, None]


@pytest.mark.parametrize(
    ("shape", "origin", "direction", "t"),
    [
        (Rectangle(1, 1), (0.2, 0.1, -2), (0, 0, 1), 2.0),
        (Rectangle(1, 1), (0.2, 0.1, -2), (0, 0, 4), 0.5),  # t counts directions, not metres
        (Rectangle(1, 1), (0.6, 0.1, -2), (0, 0, 1), math.inf),  # beside it
        (Rectangle(1, 1), (0.2, 0.1, -2), (0, 0, -1), math.inf),  # behind the origin
        (Rectangle(), (0, 0, -2), (1, 0, 0), math.inf),  # parallel
        (Box((2, 2, 2)), (0, 0, -5), (0, 0, 1), 4.0),
        (Box((2, 2, 2)), (0, 0, 0), (0, 0, 1), 1.0),  # from inside
        (Box((2, 2, 2)), (0, 3, -5), (0, 0, 1), math.inf),
        (Box((2, 2, 2)), (-3, 0, 0), (1, 1, 0), math.inf),  # passes before the edge
        (Sphere(1), (0, 0, -3), (0, 0, 1), 2.0),
        (Sphere(1), (0, 0, 0), (0, 2, 0), 0.5),  # from inside
        (Sphere(1), (0, 0.6, -3), (0, 0, 1), 3 - 0.8),  # a 3-4-5 triangle
        (Sphere(1), (0, 1.01, -3), (0, 0, 1), math.inf),
        (cylinder(0.5, 2), (0.3, -1, -3), (0, 0, 1), 3 - 0.4),  # the side
        (cylinder(0.5, 2), (0.3, -5, 0), (0, 1, 0), 3.0),  # the lid, which is up at y = -2
        (cylinder(0.5, 2), (0.6, -5, 0), (0, 1, 0), math.inf),
        (CONE, (0, -0.5, -3), (0, 0, 1), 3 - 0.25),  # half way up the radius is half
        (CONE, (0, -1.5, -3), (0, 0, 1), math.inf),  # the cone's mirror image is not there
        (CUP, (0, -3, 0), (0, 1, 0), 2.9),  # open at the top, the bottom inside is at 0.1
    ],
)
def test_a_ray_meets_a_shape_at_the_closed_form(shape, origin, direction, t):
    found = shape.intersect(column(*origin), column(*direction), 1e-9)
    np.testing.assert_allclose(found, [t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_hits_lie_on_the_surface_and_nothing_lies_before_them(shape):
    chance = np.random.default_rng(1)
    origins = chance.uniform(-2, 2, (3, 4000))
    directions = chance.uniform(-0.5, 0.5, (3, 4000)) - origins
    t = shape.intersect(origins, directions, 1e-9)
    hit = np.isfinite(t)
    assert hit.mean() > 0.2
    points = origins[:, hit] + t[hit] * directions[:, hit]
    assert shape.distances(points).max() < 1e-12
    # No point before the hit is on the surface; march by the distance, which must never overshoot.
    walked = np.zeros(int(hit.sum()))
    speed = np.linalg.norm(directions[:, hit], axis=0)
    for _ in range(30):
        gap = shape.distances(origins[:, hit] + walked * directions[:, hit])
        walked += np.where(gap > 1e-7, gap, 0) / speed  # those that have arrived stay
        assert (walked <= t[hit] + 1e-9).all()


def test_a_lid_that_is_level_but_for_rounding_is_level():
    lid = 0.7005596075482943
    jar = Lathe(((0.0, 0.0), (0.2, 0.0), (0.2, np.nextafter(lid, 0)), (0.0, lid)))
    x = np.linspace(-0.3, 0.3, 61)
    origins = np.stack([x, np.full_like(x, -3.0), np.full_like(x, 0.01)])
    t = jar.intersect(origins, np.broadcast_to(column(0.0, 1.0, 0.0), origins.shape), 1e-9)
    inside = np.hypot(x, 0.01) <= 0.2
    np.testing.assert_allclose(t, np.where(inside, 3 - lid, np.inf), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_the_normal_is_the_gradient_of_the_distance(shape):
    chance = np.random.default_rng(2)
    origins = chance.uniform(-2, 2, (3, 500))
    directions = chance.uniform(-0.4, 0.4, (3, 500)) - origins
    t = shape.intersect(origins, directions, 1e-9)
    points = (origins + t * directions)[:, np.isfinite(t)]
    normals = shape.normals(points)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=0), 1, atol=1e-12)
    for side in (1e-6, -1e-6):  # lifted off either face, the distance is the lift: all but edges
        lifted = shape.distances(points + side * normals)
        assert np.mean(np.abs(lifted - 1e-6) < 1e-11) > 0.99


@pytest.mark.parametrize("shape", [s for s in SHAPES if math.isfinite(s.bounds[1])], ids=repr)
def test_the_bounding_sphere_holds_the_shape(shape):
    chance = np.random.default_rng(3)
    origins = chance.uniform(-2, 2, (3, 3000))
    directions = chance.uniform(-1, 1, (3, 3000)) - origins
    t = shape.intersect(origins, directions, 1e-9)
    points = (origins + t * directions)[:, np.isfinite(t)]
    center, radius = shape.bounds
    reach = np.linalg.norm(points - np.array(center)[:, None], axis=0).max()
    assert 0.8 * radius < reach <= radius + 1e-12


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sphere(0.0),
        lambda: Box((1.0, -1.0, 1.0)),
        lambda: Rectangle(math.nan, 1.0),
        lambda: cylinder(0.1, 0.0),
        lambda: Lathe(((0.1, 0.0),)),
        lambda: Lathe(((0.1, 0.0), (0.1, 0.0), (0.0, 1.0))),
        lambda: Lathe(((0.1, 0.0), (-0.1, 1.0))),
    ],
)
def test_impossible_shapes_are_refused(make):
    with pytest.raises(InputError, match="needs"):
        make()
