"""What is carried on behind the foreground: its own surface's colours, in its own perspective."""

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.errors import InputError
from depth3d.render.inpainting import continued, continued_and_tried, inpainted
from depth3d.synthetic import plane_scene, render_depth, render_linear

HEIGHT, WIDTH = 200, 280
RED = np.array([1.0, 0.0, 0.0], np.float32)


def psnr_db(filled, truth, hole):
    error = np.sqrt(np.clip(filled[hole], 0, 1)) - np.sqrt(np.clip(truth[hole], 0, 1))
    return -10 * np.log10(max(float((error**2).mean()), 1e-12))


def plane(normal, distance=2.0):
    """A checkered plane: colours and inverse depth; 0 where there is sky."""
    scene = plane_scene(normal, distance)
    camera = Camera.from_fov(WIDTH, HEIGHT, 60.0)
    depth = render_depth(scene, camera).values
    return render_linear(scene, camera), np.nan_to_num(1 / depth).astype(np.float32)


def covered(color, hidden, box):
    """Put a red board in front of a box: what `continued` is told, and the hole."""
    hole = np.zeros(hidden.shape, bool)
    hole[box] = True
    seen, inverse_depth = color.copy(), hidden.copy()
    seen[hole] = RED
    inverse_depth[hole] = hidden.max() + 1
    return seen, inverse_depth, ~hole, hole


@pytest.mark.parametrize(
    "normal",
    [
        (0.0, 0.0, 1.0),  # a wall that faces the camera
        (0.6, 0.1, 0.8),  # one that runs away to the side
        (0.05, 0.5, 0.75),  # a floor
    ],
)
def test_a_checker_goes_on_in_its_own_perspective(normal):
    color, hidden = plane(normal)
    box = np.s_[70:120, 110:170]
    seen, inverse_depth, source, hole = covered(color, hidden, box)
    filled = continued(seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth))
    assert psnr_db(filled, color, hole) > 30
    assert np.array_equal(filled[~hole], seen[~hole])


def test_a_trial_knows_nothing_of_the_strip_and_foretells_it():
    color, hidden = plane((0.6, 0.1, 0.8))
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[70:120, 110:170])
    strip = np.zeros_like(hole)
    strip[67:123, 107:173] = True
    strip &= ~hole
    behind = np.where(hole, hidden, inverse_depth)
    filled, told = continued_and_tried(seen, inverse_depth, source, hole, behind, strip)
    assert psnr_db(filled, color, hole) > 30
    assert psnr_db(told, color, strip) > 30
    assert np.array_equal(filled[~hole], seen[~hole])
    assert np.array_equal(told[~strip], seen[~strip])
    other = seen.copy()
    other[strip] = np.random.default_rng(0).random((np.count_nonzero(strip), 3))
    again = continued_and_tried(other, inverse_depth, source, hole, behind, strip)[1]
    assert np.array_equal(again[strip], told[strip])


def test_a_slope_that_the_hidden_depth_gets_wrong_is_taken_from_what_is_seen():
    color, hidden = plane((0.6, 0.1, 0.8))
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[80:110, 120:150])
    level = np.where(hole, hidden[hole].mean(), inverse_depth).astype(np.float32)
    assert psnr_db(continued(seen, inverse_depth, source, hole, level), color, hole) > 25


def test_the_foreground_is_no_source_even_where_it_is_called_one():
    color, hidden = plane((0.1, 0.2, 1.0))
    seen, inverse_depth, _, board = covered(color, hidden, np.s_[50:150, 80:200])
    hole = board.copy()
    hole[65:135, 95:185] = False  # the board is wider than what is asked for behind it
    source = ~hole
    filled = continued(seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth))
    gray = np.abs(filled[hole] - filled[hole].mean(axis=1, keepdims=True)).max()
    assert gray < 0.02  # the checker is gray, the board is red


def test_each_surface_gets_its_own_colors():
    cols = np.broadcast_to(np.arange(WIDTH), (HEIGHT, WIDTH))
    wall = cols < WIDTH // 2
    hidden = np.where(wall, 0.25, 0.25 + 0.002 * (cols - WIDTH // 2)).astype(np.float32)
    color = np.where(wall[..., None], [0.1, 0.2, 0.6], [0.1, 0.5, 0.2]).astype(np.float32)
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[60:140, 90:190])
    filled = continued(seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth))
    wrong = np.abs(filled - color).max(axis=2) > 0.02
    assert not wrong[:, np.abs(cols[0] - WIDTH // 2) > 2].any()


@pytest.mark.parametrize("inverse_depth_there", [0.0, 0.5])
def test_a_constant_stays_constant(inverse_depth_there):
    color = np.full((60, 80, 3), 0.37, np.float32)
    hidden = np.full((60, 80), inverse_depth_there, np.float32)
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[20:45, 30:80])
    filled = continued(seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth))
    np.testing.assert_allclose(filled, 0.37, atol=1e-5)


def test_stripes_across_the_sky_go_on():
    stripes = np.where(np.arange(HEIGHT) // 6 % 2, 0.6, 0.2).astype(np.float32)
    color = np.broadcast_to(stripes[:, None, None], (HEIGHT, WIDTH, 3)).copy()
    hidden = np.zeros((HEIGHT, WIDTH), np.float32)
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[60:160, 100:150])
    filled = continued(seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth))
    assert psnr_db(filled, color, hole) > 35


def test_a_lamp_is_not_copied():
    color, hidden = plane((0.0, 0.0, 1.0))
    color[60:66, 60:66] = 9.0
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[70:120, 70:120])
    filled = continued(seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth))
    assert filled[hole].max() < 0.95


def test_the_same_seed_gives_the_same_colors_and_nothing_is_written_to():
    color, hidden = plane((0.3, 0.2, 1.0))
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[70:120, 110:170])
    given = [seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth)]
    before = [values.copy() for values in given]
    first = continued(*given, seed=3)
    assert np.array_equal(first, continued(*given, seed=3))
    assert all(np.array_equal(a, b) for a, b in zip(before, given, strict=True))


def test_without_any_source_the_mean_of_what_is_known_is_taken():
    color = np.full((20, 30, 3), 0.25, np.float32)
    hole = np.zeros((20, 30), bool)
    hole[5:9, 5:9] = True
    depth = np.ones((20, 30), np.float32)
    filled = continued(color, depth, np.zeros_like(hole), hole, depth)
    np.testing.assert_allclose(filled, 0.25, atol=1e-6)
    everything = np.ones_like(hole)
    assert np.isfinite(continued(color, depth, ~everything, everything, depth)).all()


def test_without_a_source_on_its_own_surface_it_takes_what_is_farther_before_what_is_nearer():
    color = np.full((40, 50, 3), 0.25, np.float32)
    depth = np.ones((40, 50), np.float32)
    hole = np.zeros((40, 50), bool)
    hole[10:30, 10:30] = True
    filled = continued(color, depth, ~hole, hole, np.full_like(depth, 0.1))
    np.testing.assert_allclose(filled, 0.25, atol=1e-5)
    color[:3], depth[:3] = 0.6, 0.02
    filled = continued(color, depth, ~hole, hole, np.full_like(depth, 0.1))
    np.testing.assert_allclose(filled[hole], 0.6, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (5, 3), (33, 1)])
def test_tiny_pictures(shape):
    chance = np.random.default_rng(5)
    color = chance.random((*shape, 3), dtype=np.float32)
    depth = chance.random(shape, dtype=np.float32)
    hole = np.zeros(shape, bool)
    hole[0, 0] = True
    filled = continued(color, depth, ~hole, hole, depth * 0.5)
    assert filled.shape == color.shape
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~hole], color[~hole])


def test_a_margin_around_the_photo_is_out_painted():
    color, hidden = plane((0.2, 0.3, 1.0))
    hole = np.ones((HEIGHT, WIDTH), bool)
    hole[10:-10, 10:-10] = False
    seen = np.where(hole[..., None], RED, color)
    filled = continued(seen, hidden, ~hole, hole, hidden)
    assert psnr_db(filled, color, hole) > 25


def test_many_holes_of_many_surfaces_with_unknown_pixels_between():
    chance = np.random.default_rng(11)
    height, width = 120, 160
    hidden = chance.integers(1, 9, (height // 8, width // 8)).repeat(8, 0).repeat(8, 1).astype(np.float32)
    color = np.repeat(hidden[..., None] / 16, 3, axis=2)
    hole = chance.random((height, width)) < 0.3
    seen, inverse_depth = np.where(hole[..., None], RED, color), np.where(hole, 20.0, hidden)
    seen[3, 3], inverse_depth[5, 5] = np.nan, np.nan
    filled = continued(seen.astype(np.float32), inverse_depth.astype(np.float32), ~hole, hole, hidden)
    assert np.isfinite(filled[hole]).all()
    assert np.abs(filled[hole] - color[hole]).mean() < 0.02


def test_a_picture_above_the_working_size_keeps_its_detail():
    color, hidden = plane((0.3, 0.1, 1.0))
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[70:120, 110:170])
    behind = np.where(hole, hidden, inverse_depth)
    filled = continued(seen, inverse_depth, source, hole, behind, working_px=HEIGHT * WIDTH // 3)
    assert psnr_db(filled, color, hole) > 25


def test_maps_of_another_size_are_refused():
    color, depth = np.zeros((4, 6, 3), np.float32), np.zeros((4, 6), np.float32)
    hole = np.zeros((4, 6), bool)
    with pytest.raises(InputError, match="as large as color"):
        continued(color, depth[:3], ~hole, hole, depth)
    with pytest.raises(InputError, match=r"\(H, W, 3\)"):
        continued(depth, depth, ~hole, hole, depth)


def test_somebodys_inpainter_changes_the_hole_only():
    image = np.full((4, 6, 3), 7, np.uint8)
    hole = np.zeros((4, 6), bool)
    hole[1, 2] = True

    def white(picture, where):
        picture[:] = 255
        where[:] = False
        return picture

    filled = inpainted(white, image, hole)
    assert np.array_equal(filled[hole], [[255, 255, 255]])
    assert np.array_equal(filled[~hole], image[~hole])
    assert hole.sum() == 1


@pytest.mark.parametrize(
    "answer",
    [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.float32), np.zeros((4, 6), np.uint8), None],
)
def test_an_inpainter_that_returns_something_else_is_refused(answer):
    image, hole = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), bool)
    with pytest.raises(InputError, match="an inpainter must return"):
        inpainted(lambda picture, where: answer, image, hole)


def test_a_wall_that_is_all_but_infinitely_far_goes_on():
    color, _ = plane((0.0, 0.0, 1.0))
    hidden = np.random.default_rng(2).uniform(0, 3e-5, (HEIGHT, WIDTH)).astype(np.float32)
    seen, inverse_depth, source, hole = covered(color, hidden, np.s_[70:120, 110:170])
    inverse_depth[hole] = 0.6
    filled = continued(seen, inverse_depth, source, hole, np.where(hole, hidden, inverse_depth))
    assert psnr_db(filled, color, hole) > 25


def test_more_pixels_in_one_place_than_opencv_samples_at_once():
    color = np.full((HEIGHT, WIDTH, 3), 0.3, np.float32)
    color[::4] = 0.6
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[:, 100:] = True
    filled = continued(color, depth, ~hole, hole, depth, working_px=HEIGHT * WIDTH // 4)
    assert hole.sum() > 2**15
    assert np.isfinite(filled).all()


def test_sources_finer_than_the_working_size_still_give_their_colors():
    light = np.full((200, 200, 3), 0.5, np.float32)
    source = np.zeros((200, 200), bool)
    source[::3, ::3] = True
    hole = np.zeros_like(source)
    hole[80:120, 80:120] = True
    source &= ~hole
    flat = np.ones((200, 200), np.float32)
    filled = continued(light, flat, source, hole, flat / 2, working_px=20_000)
    np.testing.assert_allclose(filled[hole], 0.5, atol=1e-6)
