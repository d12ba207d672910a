"""`depth3d mesh --solid`, `--relief`, `--lithophane`: what lies on the printer's bed, and what is refused."""

import json
import re

import cv2
import numpy as np
import pytest
import trimesh

import depth3d as d3


@pytest.fixture
def ball(tmp_path):
    """A bump on a wall 2 m away, and a corner that nobody knows."""
    v, u = np.mgrid[:36, :48] + 0.5
    z_m = 2 - 0.5 * np.sqrt(np.clip(1 - ((u - 24) ** 2 + (v - 18) ** 2) / 100, 0, None))
    z_m[:6, :8] = np.nan
    d3.save(d3.DepthMap(z_m.astype(np.float32), "metric"), tmp_path / "ball.npz")
    return tmp_path / "ball.npz"


def printed(path):
    """What trimesh reads, its vertices joined by place as slicers do."""
    (part,) = trimesh.load_scene(path).geometry.values()
    assert part.is_watertight
    assert part.is_winding_consistent
    assert part.volume > 0
    return part


def test_a_solid_lies_on_its_back_and_has_the_size_asked_for(run, photo, ball, tmp_path):
    words = ("mesh", photo, "--depth", ball, "--fov-x-deg", 60, "--solid", "-o", "m.stl")
    done = run(*words, "--width-mm", 60, "--depth-mm", 25)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    part = printed(tmp_path / "m.stl")
    assert np.ptp(part.bounds[:, 0]) == pytest.approx(60, rel=1e-5)
    assert part.bounds[:, 2].tolist() == [0, pytest.approx(25, rel=1e-5)]
    size = re.search(r"faces, uv, texture\), 60 x ([\d.]+) x 25 mm\n$", done.stdout)
    assert float(size[1]) == pytest.approx(np.ptp(part.bounds[:, 1]), rel=1e-3)
    # The same from Python.
    scene = d3.RGBD(d3.load_image(photo), d3.load_depth(ball), d3.Camera.from_fov(48, 36, 60))
    same = d3.solid(scene, width_mm=60, depth_mm=25)
    assert len(part.faces) == len(same.faces)
    assert 1e9 * trimesh.Trimesh(same.vertices, same.faces).volume == pytest.approx(part.volume, rel=1e-4)


def test_a_solid_without_a_size_is_as_large_as_the_scene(run, photo, ball, tmp_path):
    done = run("mesh", photo, "--depth", ball, "--focal-px", 40, "--solid", "-o", "m.3mf", "--json")
    assert done.exit_code == 0, done.output
    assert "give --width-mm" in done.stderr
    facts = json.loads(done.stdout)
    assert facts["kind"] == "solid"
    np.testing.assert_allclose(
        facts["size_mm"], [2.002 * 47 / 40 * 1000, 2.002 * 35 / 40 * 1000, 502], rtol=4e-3
    )
    assert facts["depth"] == "ball.npz"
    mesh = d3.load_mesh(tmp_path / "m.3mf")
    assert (len(mesh.faces), len(mesh.vertices)) == (facts["faces"], facts["vertices"])


def test_sides_that_flare_are_told_of(run, photo, disparity):
    words = ("mesh", photo, "--depth", disparity, "--solid", "--width-mm", 50)
    done = run(*words, "--assume-range-m", "1,6", "-o", "m.stl")
    assert done.exit_code == 0, done.output
    assert "ends 6.0 times as far away as it begins" in done.stderr
    done = run(*words, "--assume-range-m", "1,6", "--depth-range-m", "1,2", "-o", "near.stl")
    assert "flare" not in done.stderr


def test_a_relief_needs_no_metres(run, photo, disparity, tmp_path):
    words = ("mesh", photo, "--depth", disparity, "--relief", "--width-mm", 80, "--depth-mm", 9)
    done = run(*words, "--base-mm", 3, "-o", "m.stl", "--preview", "views.png")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    part = printed(tmp_path / "m.stl")
    np.testing.assert_allclose(part.extents, [80, 60, 9], rtol=1e-5)
    assert part.bounds[0][2] == 0
    # Brighter is nearer: the lower right corner of the photo stands highest.
    tops = part.vertices[part.vertices[:, 2] > 8.9]
    assert (tops[:, 0] > 30).all()
    assert (tops[:, 1] < 0).all()
    assert part.vertices[part.vertices[:, 2] > 0, 2].min() == pytest.approx(3, rel=1e-5)
    views = cv2.imread(str(tmp_path / "views.png"))
    assert all((view < 250).any(axis=2).mean() > 0.02 for view in np.split(views, 3, axis=1))


def test_the_network_is_asked_for_a_relief(run, photo, tiny_folder, tmp_path):
    done = run("mesh", photo, "--model", tiny_folder, "--input-size", 28, "--relief", "-o", "m.glb", "--json")
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(json.loads(done.stdout)["size_mm"], [100, 75, 10], atol=0.011)
    (part,) = trimesh.load_scene(tmp_path / "m.glb").geometry.values()
    assert part.visual.material.baseColorTexture.size == (48, 36)


def test_a_lithophane_needs_no_depth(run, photo, tmp_path):
    words = ("mesh", photo, "--lithophane", "--width-mm", 60, "--max-mm", 2.5, "--border-mm", 2)
    done = run(*words, "-o", "m.stl", "--json")
    assert done.exit_code == 0, done.output
    part = printed(tmp_path / "m.stl")
    np.testing.assert_allclose(part.extents[[0, 2]], [60, 2.5], rtol=1e-5)
    assert json.loads(done.stdout)["depth"] is None
    # Dark is thick: the photo is black in its upper left corner and bright in the lower right one.
    x, y, z = part.vertices[part.vertices[:, 2] > 0].T
    left, right = (x < -20) & (y > 10), (x > 20) & (y < -10)
    assert z[left].min() > 2.4
    assert z[right].min() < 1.0


def test_a_solid_in_several_parts_says_so(run, photo, tmp_path):
    z_m = np.full((36, 48), 2, np.float32)
    z_m[:, 20] = np.nan
    d3.save(d3.DepthMap(z_m, "metric"), tmp_path / "gap.npz")
    words = ("mesh", photo, "--depth", "gap.npz", "--fov-x-deg", 60, "--solid", "--width-mm", 60)
    done = run(*words, "-o", "m.stl", "--min-island-px", 0, "--json")
    assert done.exit_code == 0, done.output
    assert "falls into 2 parts" in done.stderr
    assert json.loads(done.stdout)["parts"] == printed(tmp_path / "m.stl").body_count == 2
    done = run(*words, "-o", "one.stl", "--min-island-px", 800)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--solid", "--relief"], "--solid and --relief are two different prints; choose one"),
        (["--relief", "--fov-x-deg", "60"], "--fov-x-deg says nothing about --relief"),
        (["--relief", "--assume-range-m", "1,5"], "--assume-range-m says nothing about --relief"),
        (["--relief", "--stride", "2"], "--stride says nothing"),
        (["--solid", "--edge-tolerance", "0.1"], "--edge-tolerance says nothing about --solid"),
        (["--solid", "--sample-mm", "0.1"], "--sample-mm says nothing about --solid"),
        (["--solid", "--no-normals"], "normals says nothing about --solid"),
        (["--solid", "--method", "grid"], "--method says nothing about --solid"),
        (["--solid", "--flying-pixels", "remove"], "use --flying-pixels snap or keep"),
        (["--relief", "--paint", "colors"], "use --paint texture or none"),
        (["--lithophane"], "--depth says nothing about --lithophane"),
        (["--width-mm", "80"], "--width-mm measures a print; add --solid, --relief or --lithophane"),
        (["--relief", "--depth-mm", "1"], "depth_mm must be more than base_mm"),
    ],
)
def test_what_says_nothing_is_refused(run, photo, ball, tmp_path, words, sentence):
    done = run("mesh", photo, "--depth", ball, *words, "-o", "m.stl")
    assert done.exit_code == 1, done.output
    assert sentence in done.stderr
    assert not (tmp_path / "m.stl").exists()


def test_clouds_have_no_front_to_print(run, tmp_path):
    (tmp_path / "cloud.ply").write_bytes(b"ply")
    done = run("mesh", "cloud.ply", "--solid", "-o", "m.stl")
    assert done.exit_code == 1
    assert "give the photo" in done.stderr
