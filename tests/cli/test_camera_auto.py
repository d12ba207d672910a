"""`--fov auto`: the field of view that a photo's straight edges tell, wherever a camera is asked for."""

import json

import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d.calibrate.line_pictures import draw_vanishing_lines
from depth3d.synthetic import place, render_image, room_scene


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    """A file with a corner of a tiled room, at 70 degrees across."""
    camera = d3.Camera.from_fov(480, 360, 70)
    pose = place(-1.2, 0.2, 0.4, yaw_deg=35, pitch_deg=-10)
    path = tmp_path_factory.mktemp("corner") / "corner.png"
    cv2.imwrite(str(path), render_image(room_scene(), camera, pose, samples=2)[..., ::-1])
    return path, camera


def test_show_says_what_it_measured(run, corner):
    path, camera = corner
    done = run("camera", "show", path, "--fov", "auto", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    measured = d3.camera_from_vanishing_points(d3.load_image(path))
    assert (found["source"], found["fx"]) == ("vanishing points", measured.fx)
    assert found["fx"] == pytest.approx(camera.fx, rel=0.1)
    assert "straight edges" in done.stderr
    assert "vanishing points" in run("camera", "show", path, "--fov-x-deg", "auto").stdout


def test_a_cloud_takes_the_camera_and_carries_the_note(run, corner, tmp_path):
    path, _ = corner
    d3.save(d3.DepthMap(np.full((360, 480), 2.0), "metric"), tmp_path / "depth.npz")
    done = run("cloud", path, "--depth", tmp_path / "depth.npz", "--fov", "auto", "-o", "cloud.ply")
    assert done.exit_code == 0, done.output
    header = (tmp_path / "cloud.ply").read_bytes().split(b"end_header")[0].decode()
    assert "vanishing points" in header
    assert "straight edges" in header
    opened = d3.open_photo(path, depth=tmp_path / "depth.npz", fov_x_deg="auto")
    assert opened.scene.camera.fx == d3.camera_from_vanishing_points(opened.scene.image).fx
    assert any("straight edges" in note for note in opened.notes)


def test_it_goes_before_the_camera_in_a_depth_file(corner, tmp_path):
    path, _ = corner
    other = d3.Camera.from_fov(480, 360, 30)
    d3.save(d3.DepthMap(np.full((360, 480), 2.0), "metric"), tmp_path / "depth.npz", camera=other)
    opened = d3.open_photo(path, depth=tmp_path / "depth.npz", fov_x_deg="auto")
    assert opened.scene.camera.source == "vanishing points"


def test_photos_that_do_not_tell_are_refused_before_anything_is_written(run, photo, tmp_path):
    d3.save(d3.DepthMap(np.full((36, 48), 2.0), "metric"), tmp_path / "depth.npz")
    done = run("cloud", photo, "--depth", tmp_path / "depth.npz", "--fov", "auto", "-o", "cloud.ply")
    assert done.exit_code == 1
    assert "too few to tell its field of view" in done.stderr
    assert not (tmp_path / "cloud.ply").exists()
    assert run("camera", "show", photo, "--fov", "auto").exit_code == 1


def test_contradictions_are_refused(run, corner):
    path, _ = corner
    done = run("camera", "show", path, "--fov", "auto", "--focal-px", "500")
    assert done.exit_code == 1
    assert "leave the other camera options out" in done.stderr
    done = run("camera", "show", path, "--fov", "wide")
    assert done.exit_code == 2
    assert "62.5, or auto" in done.stderr


def test_commands_that_do_not_look_say_so(run, corner):
    path, _ = corner
    done = run("camera", "undistort", path, "-o", "straight.png", "--fov", "auto")
    assert done.exit_code == 1
    assert "depth3d camera show --fov auto" in done.stderr
    with pytest.raises(d3.Depth3DError, match="camera_from_vanishing_points"):
        d3.camera_for(path, fov_x_deg="auto")


def test_the_short_name_takes_degrees_too(run, corner):
    path, _ = corner
    done = run("camera", "show", path, "--fov", "50", "--json")
    assert json.loads(done.stdout)["fov_x_deg"] == pytest.approx(50)


def test_the_preview_shows_the_edges(run, corner, tmp_path):
    path, _ = corner
    done = run("camera", "show", path, "--fov", "auto", "--preview", "edges.png")
    assert done.exit_code == 0, done.output
    picture, photo = d3.load_image(tmp_path / "edges.png"), d3.load_image(path)
    found = d3.find_vanishing_points(photo)
    np.testing.assert_array_equal(picture, draw_vanishing_lines(photo, found))
    longest = [int(np.argmax(found.axis_of == axis)) for axis in range(3)]  # segments come longest first
    at = np.floor(found.segments.ends_px[longest].mean(axis=1)).astype(int)
    np.testing.assert_array_equal(
        picture[at[:, 1], at[:, 0]].argmax(axis=1), [0, 1, 2]
    )  # red, green and blue in turn
    assert run("camera", "show", path, "--fov", "auto", "--preview", "edges.png").exit_code == 1
    assert run("camera", "show", path, "--preview", "other.png").exit_code == 2
    with pytest.raises(d3.Depth3DError, match="480x360"):
        draw_vanishing_lines(photo[:100], found)
