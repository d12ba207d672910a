"""`depth3d inspect`: facts of every kind of file, and the report."""

import json

import cv2
import numpy as np
import pytest

import depth3d as d3


def facts_of(run, *words):
    done = run("inspect", *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_depth_map(run, depth_mm):
    facts = facts_of(run, depth_mm)
    z = cv2.imread(str(depth_mm), cv2.IMREAD_UNCHANGED).astype(np.float64) / 1000
    z = z[z > 0]
    assert facts["type"] == "depth map"
    assert facts["kind"] == "metric"
    assert facts["known_percent"] == round(100 * (48 * 36 - 1) / (48 * 36), 3)
    for name, value in (("mean_m", z.mean()), ("median_m", np.median(z)), ("std_m", z.std())):
        assert abs(facts[name] - value) < 1e-6, name


def test_photo_camera_calibration_and_cloud(run, photo, depth_mm, tmp_path):
    assert facts_of(run, photo)["type"] == "photo"
    d3.save(d3.Camera.from_fov(48, 36, 60), tmp_path / "k.json")
    assert facts_of(run, "k.json")["fx"] == d3.Camera.from_fov(48, 36, 60).fx
    d3.save(d3.Calibration(0.5, 0.25), tmp_path / "cal.json")
    assert facts_of(run, "cal.json") | {"scale": 0.5, "shift": 0.25} == facts_of(run, "cal.json")
    assert run("cloud", photo, "--depth", depth_mm, "-o", "c.ply", "--frame", "opengl").exit_code == 0
    cloud = facts_of(run, "c.ply")
    assert (cloud["points"], cloud["frame"], cloud["unit"]) == (1727, "opengl", "m")
    assert cloud["min_xyz"][2] > 0  # given back in our frame: z forward


def test_report_of_a_depth_map_shows_its_panels(run, depth_mm, tmp_path):
    assert run("inspect", depth_mm, "--report", "report.png").exit_code == 0
    report = cv2.imread(str(tmp_path / "report.png"))
    assert report.shape == (900, 1500, 3)
    for name, panel in (
        ("colours", report[:450, :750]),
        ("histogram", report[:450, 750:]),
        ("row", report[450:, :500]),
        ("column", report[450:, 500:1000]),
        ("surface", report[450:, 1000:]),
    ):
        assert (panel < 200).any(axis=-1).mean() > 0.01, f"the panel {name} is empty"


def test_report_of_constant_and_unknown_maps(run, tmp_path):
    for name, values in (
        ("constant", np.full((5, 7), 2.0)),
        ("unknown", np.full((5, 7), np.nan)),
        ("one", np.ones((1, 1))),
    ):
        d3.save(d3.DepthMap(values, "metric"), tmp_path / f"{name}.npz")
        done = run("inspect", f"{name}.npz", "--report", f"{name}.png")
        assert done.exit_code == 0, done.output


def test_nothing_to_draw_and_nothing_there(run, photo, tmp_path):
    done = run("inspect", photo, "--report", "r.png")
    assert done.exit_code == 1
    assert "none of them" in done.stderr
    assert not (tmp_path / "r.png").exists()
    done = run("inspect", "missing.ply")
    assert done.exit_code == 1
    assert "does not exist" in done.stderr


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty"), (b"PK\x03\x04 and no more", "damaged"), (b"text", "")]
)
def test_archives_that_are_none(run, tmp_path, content, sentence):
    (tmp_path / "z.npz").write_bytes(content)
    done = run("inspect", "z.npz")
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert "bug" not in done.stderr


def test_a_name_that_is_too_long(run):
    done = run("inspect", "x" * 5000)
    assert done.exit_code == 1
    assert done.stderr.endswith("File name too long; check the path\n")


def test_a_report_never_replaces_what_it_is_about(run, depth_mm):
    before = depth_mm.read_bytes()
    done = run("inspect", depth_mm, "--report", depth_mm, "--overwrite")
    assert done.exit_code == 1
    assert "is the input itself" in done.stderr
    assert depth_mm.read_bytes() == before


def tetrahedron(*faces):
    corners = [[0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 2]]
    return d3.Mesh(corners, faces or [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


def test_meshes_of_every_format_tell_the_same(run, tmp_path):
    for suffix in (".glb", ".obj", ".ply", ".stl", ".3mf"):
        d3.save(tetrahedron(), tmp_path / f"m{suffix}")
        facts = facts_of(run, f"m{suffix}")
        assert (facts["type"], facts["faces"], facts["closed"]) == ("mesh", 4, True), suffix
        np.testing.assert_allclose((facts["min_xyz"], facts["max_xyz"]), ([0, 0, 1], [1, 1, 2]), atol=1e-6)
        assert facts["vertices"] == (12 if suffix == ".stl" else 4)
    assert (facts["frame"], facts["unit"]) == ("opengl", "mm")


@pytest.mark.parametrize(
    "faces",
    [
        [[0, 2, 1], [0, 1, 3], [1, 2, 3]],  # one side is missing
        [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 2, 3]],  # one side is inside out
    ],
)
def test_what_is_open_or_inside_out_is_not_closed(run, tmp_path, faces):
    for suffix in (".glb", ".stl"):
        d3.save(tetrahedron(*faces), tmp_path / f"m{suffix}")
        assert facts_of(run, f"m{suffix}")["closed"] is False


def test_report_of_a_mesh(run, tmp_path):
    d3.save(tetrahedron(), tmp_path / "m.glb")
    assert run("inspect", "m.glb", "--report", "views.png").exit_code == 0
    views = cv2.imread(str(tmp_path / "views.png"))
    assert views.shape == (400, 1440, 3)
    for left in (1, 481, 961):
        assert (views[:, left : left + 478] < 230).mean() > 0.01
