"""`depth3d mesh --method`: surfaces through the points of clouds and of photos."""

import json
import re

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.cloud import PointCloud

pytestmark = pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")


@pytest.fixture
def ball(tmp_path):
    """A red ball of radius 0.5 at (0, 0, 2), as a PLY of ours."""
    i = np.arange(1500) + 0.5
    y, turn = 1 - 2 * i / 1500, np.pi * (1 + 5**0.5) * i
    normals = np.stack([np.sqrt(1 - y**2) * np.cos(turn), y, np.sqrt(1 - y**2) * np.sin(turn)], axis=1)
    colors = np.tile(np.array([[200, 40, 30]], np.uint8), (1500, 1))
    d3.save(
        PointCloud([0, 0, 2] + 0.5 * normals, colors, normals), tmp_path / "ball.ply", comments=["a ball"]
    )
    return tmp_path / "ball.ply"


@pytest.fixture
def slope(tmp_path):
    """A plane, whole and exact, as float metres."""
    v, u = np.mgrid[:36, :48] + 0.5
    z_m = (1 / (0.3 + 0.0021213 * u + 0.0043671 * v)).astype(np.float32)
    d3.save(d3.DepthMap(z_m, "metric"), tmp_path / "slope.npz")
    return tmp_path / "slope.npz"


@pytest.mark.parametrize("method", ["poisson", "ball-pivoting"])
def test_a_cloud_becomes_a_mesh(run, ball, method):
    done = run("mesh", ball, "--method", method, "-o", "m.glb", "--json", "--preview", "views.png")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    facts = json.loads(done.stdout)
    mesh = d3.load_mesh("m.glb")
    assert (facts["method"], facts["points"], facts["faces"]) == (method, 1500, len(mesh.faces))
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices - [0, 0, 2], axis=1), 0.5, atol=0.01)
    np.testing.assert_array_equal(np.unique(mesh.colors, axis=0), [[200, 40, 30]])
    comments = [d3.inspect("m.glb").facts.get(f"comment.{i}") for i in range(4)]
    assert "a ball" in comments
    assert f"surface: {method} of 1500 points" in comments
    assert d3.load_image("views.png").std() > 5


@pytest.mark.parametrize("method", ["poisson", "ball-pivoting"])
def test_a_photo_goes_over_its_points(run, photo, slope, method):
    words = ("mesh", photo, "--depth", slope, "--focal-px", 40, "--method", method)
    done = run(*words, "-o", "m.ply", "--no-normals", "--paint", "none")
    assert done.exit_code == 0, done.output
    mesh = d3.load_mesh("m.ply")
    assert mesh.colors is None
    x, y, z = mesh.vertices.T.astype(np.float64)
    # 1/z = 0.3 + 0.0021213 u + 0.0043671 v with u = 40 x / z + 24, v = 40 y / z + 18.
    plane = z * (0.3 + 0.0021213 * 24 + 0.0043671 * 18) + 40 * (0.0021213 * x + 0.0043671 * y) - 1
    assert np.sqrt(np.mean(plane**2)) < 0.003
    assert np.abs(plane).max() < 0.03  # at the border, where Poisson is free to curl
    assert len(mesh.faces) > 1000


def test_a_cloud_that_does_not_state_its_axes_is_said(run, ball, tmp_path):
    points = d3.load_cloud(ball).points
    np.savetxt(tmp_path / "bare.xyz", points)
    done = run("mesh", "bare.xyz", "--method", "ball-pivoting", "-o", "m.ply")
    assert done.exit_code == 0, done.output
    assert "took it for y down, in metres" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["ball.ply"], "no grid; use --method poisson"),
        (
            ["ball.ply", "--method", "poisson", "--stride", 2],
            "--stride says nothing about poisson of a cloud",
        ),
        (["ball.ply", "--method", "poisson", "--depth", "slope.npz"], "--depth says nothing"),
        (["ball.ply", "--method", "ball-pivoting", "--octree-depth", 6], "--octree-depth says nothing"),
        (["photo.png", "--method", "poisson", "--max-faces", 100], "--max-faces says nothing"),
        (["photo.png", "--method", "poisson", "--paint", "texture"], "no texture fits"),
        (["photo.png", "--method", "poisson", "--flying-pixels", "snap"], "can't be snapped"),
        (["photo.png", "--octree-depth", 6], "belongs to --method poisson"),
        (["ball.ply", "--method", "poisson", "--preview", "ball.png", "-o", "ball.ply"], "already exists"),
        (["none.ply", "--method", "poisson"], "none.ply"),
    ],
)
def test_what_does_not_apply_is_refused(run, photo, slope, ball, tmp_path, words, sentence):
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    done = run("mesh", "-o", "m.glb", *words)
    assert done.exit_code == 1, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert re.search(sentence, errors[0]), errors
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
