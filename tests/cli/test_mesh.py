"""`depth3d mesh`: what it writes, what it says, what it refuses."""

import json
import re

import cv2
import numpy as np
import pytest
import trimesh

import depth3d as d3


def part_of(path):
    (part,) = trimesh.load_scene(path, process=False, maintain_order=True).geometry.values()
    return part


@pytest.fixture
def slope(tmp_path):
    """A plane, whole and exact, as float metres; its slopes make no levels that look like 8 bits."""
    v, u = np.mgrid[:36, :48] + 0.5
    z_m = (1 / (0.3 + 0.0021213 * u + 0.0043671 * v)).astype(np.float32)
    d3.save(d3.DepthMap(z_m, "metric"), tmp_path / "slope.npz")
    return tmp_path / "slope.npz"


@pytest.fixture
def step(tmp_path):
    """Left half 1 m away, right half 2 m."""
    z_m = np.where(np.arange(48) < 24, 1.0, 2.0).astype(np.float32) * np.ones((36, 1), np.float32)
    d3.save(d3.DepthMap(z_m, "metric"), tmp_path / "step.npz")
    return tmp_path / "step.npz"


def test_a_plane_becomes_a_whole_textured_grid(run, photo, slope, tmp_path):
    done = run("mesh", photo, "--depth", slope, "--focal-px", 40, "--texture-format", "png", "-o", "m.glb")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("m.glb: Mesh(1,728 vertices, 3,290 faces, uv, texture, normals)")
    assert done.stderr == ""
    part = part_of(tmp_path / "m.glb")
    v, u = (x.ravel() + 0.5 for x in np.mgrid[:36, :48])
    z = d3.load_depth(slope).values.ravel().astype(np.float64)
    expected = np.stack([(u - 24) * z / 40, -(v - 18) * z / 40, -z], axis=1)  # glTF: y up, z back
    np.testing.assert_allclose(part.vertices, expected, rtol=1e-5, atol=1e-6)
    assert len(part.faces) == 2 * 35 * 47
    np.testing.assert_allclose(part.visual.uv, np.stack([u / 48, 1 - v / 36], axis=1), atol=1e-6)
    texture = np.asarray(part.visual.material.baseColorTexture.convert("RGB"))
    np.testing.assert_array_equal(texture, d3.load_image(photo))
    # All in one plane: n.X = h with the plane's own normal, which looks at the camera.
    assert np.ptp(part.vertex_normals, axis=0).max() < 1e-3
    assert (np.einsum("ij,ij->i", part.vertex_normals, part.vertices) < 0).all()


def test_a_step_is_cut_and_both_sides_stay(run, photo, step, tmp_path):
    done = run("mesh", photo, "--depth", step, "--fov-x-deg", 60, "-o", "m.ply")
    assert done.exit_code == 0, done.output
    part = part_of(tmp_path / "m.ply")
    z = part.vertices[part.faces][..., 2]
    assert (np.ptp(z, axis=1) < 1e-6).all()
    assert len(part.faces) == 2 * (2 * 35 * 23)
    assert {1.0, 2.0} == set(np.unique(z).tolist())


def test_every_format_is_the_same_surface(run, photo, slope, tmp_path):
    words = ("mesh", photo, "--depth", slope, "--focal-px", 40, "-q")
    areas_m2 = {}
    for suffix in (".glb", ".obj", ".ply", ".stl", ".3mf"):
        assert run(*words, "-o", f"m{suffix}").exit_code == 0
        mesh = d3.load_mesh(tmp_path / f"m{suffix}")
        areas_m2[suffix] = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).area
    np.testing.assert_allclose(list(areas_m2.values()), areas_m2[".glb"], rtol=1e-5)
    assert (tmp_path / "m.mtl").exists()
    assert (tmp_path / "m_texture.jpg").exists()


def test_frames_and_units(run, photo, slope, tmp_path):
    words = ("mesh", photo, "--depth", slope, "--focal-px", 40, "-q")
    assert run(*words, "-o", "m.stl").exit_code == 0
    assert run(*words, "-o", "cv.ply").exit_code == 0
    assert run(*words, "-o", "b.ply", "--frame", "blender", "--unit", "cm").exit_code == 0
    ours = np.asarray(part_of(tmp_path / "cv.ply").bounds)
    np.testing.assert_allclose(
        part_of(tmp_path / "m.stl").bounds, np.sort(1000 * ours * [1, -1, -1], axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        part_of(tmp_path / "b.ply").bounds,
        np.sort(100 * ours[:, [0, 2, 1]] * [1, 1, -1], axis=0),
        rtol=1e-5,
    )


def test_a_plane_is_two_triangles_and_a_step_stays_within_its_budget(run, photo, slope, step, tmp_path):
    assert run("mesh", photo, "--depth", slope, "--max-error-px", 0.5, "-o", "plane.ply").exit_code == 0
    assert len(part_of("plane.ply").faces) == 2
    assert run("mesh", photo, "--depth", step, "--max-faces", 200, "-o", "step.ply").exit_code == 0
    assert 2 < len(part_of("step.ply").faces) <= 200


def test_paint_and_normals(run, photo, slope, tmp_path):
    words = ("mesh", photo, "--depth", slope, "--fov-x-deg", 60, "-q")
    assert run(*words, "-o", "c.glb", "--paint", "colors", "--no-normals").exit_code == 0
    mesh = d3.load_mesh(tmp_path / "c.glb")
    np.testing.assert_array_equal(mesh.colors, d3.load_image(photo).reshape(-1, 3))
    assert mesh.normals is None
    assert run(*words, "-o", "n.obj", "--paint", "none").exit_code == 0
    assert {p.name for p in tmp_path.glob("n*")} == {"n.obj"}


def test_fewer_triangles_on_request(run, photo, slope, tmp_path):
    words = ("mesh", photo, "--depth", slope, "--fov-x-deg", 60, "-q")
    assert run(*words, "-o", "whole.ply").exit_code == 0
    area = part_of(tmp_path / "whole.ply").area
    for option in (("--max-faces", 300), ("--max-error-px", 0.5)):
        assert run(*words, *option, "-o", "few.ply", "--overwrite").exit_code == 0
        few = part_of(tmp_path / "few.ply")
        assert len(few.faces) <= 300
        np.testing.assert_allclose(few.area, area, rtol=1e-5)  # the plane is still whole


def test_relative_depth_and_what_was_assumed_are_said_and_written(run, photo, disparity, tmp_path):
    done = run("mesh", photo, "--depth", disparity, "--assume-range-m", "2,8", "-o", "m.glb")
    assert done.exit_code == 0, done.output
    assert "assumed a range of 2 to 8 m" in done.stderr
    assert "assumed 60 degrees" in done.stderr
    comments = "\n".join(d3.inspect(tmp_path / "m.glb").facts.get(f"comment.{i}", "") for i in range(4))
    assert "assumed a range of 2 to 8 m" in comments
    assert "depth: disparity.png" in comments
    z = d3.load_mesh(tmp_path / "m.glb").vertices[:, 2]
    np.testing.assert_allclose([z.min(), z.max()], [2, 8], rtol=1e-5)


def test_preview_and_json(run, photo, slope, tmp_path):
    done = run("mesh", photo, "--depth", slope, "-o", "m.obj", "--preview", "views.png", "--json", "-q")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["faces"], facts["vertices"], facts["depth"]) == (3290, 1728, "slope.npz")
    assert facts["files"] == ["m.obj", "m.mtl", "m_texture.jpg"]
    assert facts["camera"]["source"] == "assumed"
    assert cv2.imread(str(tmp_path / "views.png")).std() > 5
    assert done.stderr == ""


def test_no_network_is_loaded_for_a_photo_that_is_not_there(run, monkeypatch):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr("depth3d.verbs.loaded_estimator", never)
    done = run("mesh", "nowhere.jpg", "-o", "m.glb")
    assert done.exit_code == 1
    assert done.stderr == "Error: nowhere.jpg does not exist; check the path\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "m.xyz"], r"no mesh's.*\.glb"),
        (["-o", "m.fbx"], "write .glb"),
        (["-o", "no/such/m.glb"], "does not exist; create it first"),
        (["-o", "m.glb", "--unit", "mm"], "leave the frame and the unit out"),
        (["-o", "m.glb", "--preview", "views.ply"], "no picture's name"),
        (["-o", "m.glb", "--preview", "photo.png", "--overwrite"], "the input itself"),
        (["-o", "m.glb", "--depth-range-m", "100,200"], "no triangle is left.*widen"),
        (["-o", "taken.obj"], "taken.mtl already exists"),
    ],
)
def test_bad_words_get_one_sentence_and_leave_nothing(run, photo, slope, tmp_path, words, sentence):
    (tmp_path / "taken.mtl").write_bytes(b"precious")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    done = run("mesh", photo, "--depth", slope, *words)
    assert done.exit_code == 1, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert re.search(sentence, errors[0]), errors
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_texture_never_replaces_the_photo_itself(run, slope, tmp_path):
    cv2.imwrite(str(tmp_path / "m_texture.jpg"), np.full((36, 48, 3), 99, np.uint8))
    before = (tmp_path / "m_texture.jpg").read_bytes()
    done = run("mesh", "m_texture.jpg", "--depth", slope, "-o", "m.obj", "--overwrite")
    assert done.exit_code == 1
    assert "the input itself" in done.stderr
    assert (tmp_path / "m_texture.jpg").read_bytes() == before


def test_depth_without_a_known_pixel_is_told_apart(run, photo, tmp_path):
    np.save(tmp_path / "nan.npy", np.full((36, 48), np.nan, np.float32))
    done = run("mesh", photo, "--depth", "nan.npy", "--depth-kind", "metric", "-o", "m.glb")
    assert done.exit_code == 1
    assert "knows no pixel" in done.stderr


def test_the_network_is_asked_with_every_option_that_estimate_has(run, photo, tiny_folder, tmp_path):
    words = ("mesh", photo, "--model", tiny_folder, "--input-size", 28, "--fov-x-deg", 60)
    assert run(*words, "-o", "plain.glb").exit_code == 0
    done = run(*words, "--tta", "flip", "-o", "averaged.glb")
    assert done.exit_code == 0, done.output
    plain, averaged = (d3.load_mesh(tmp_path / f"{name}.glb").vertices for name in ("plain", "averaged"))
    assert plain.shape != averaged.shape or np.abs(plain - averaged).max() > 1e-4
