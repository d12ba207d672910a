"""`depth3d fuse`: a small recording of a ball, in the formats people have, back as one surface."""

import json
import re

import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d.synthetic.poses import look_at
from depth3d.synthetic.render import render_rgbd
from depth3d.synthetic.scene import distance_to_surface
from depth3d.synthetic.scenes import sphere_scene

pytestmark = pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")

TO_Y_UP = np.diag([1.0, -1, -1, 1])
EYES = [(-0.4, 0, 0), (0, 0, 0), (0.4, 0, 0)]


@pytest.fixture
def recording(tmp_path):
    """color/, depth/ in millimetres, camera.json and trajectory.log, in a world whose y points up."""
    camera = d3.Camera.from_fov(96, 72, 60)
    rows = []
    for i, eye in enumerate(EYES):
        pose = look_at(eye, (0, 0, 2))
        view = render_rgbd(sphere_scene(), camera, pose, samples=1)
        for folder in ("color", "depth"):
            (tmp_path / "scan" / folder).mkdir(parents=True, exist_ok=True)
        d3.save(view.image, tmp_path / "scan" / "color" / f"{i:05d}.png")
        cv2.imwrite(
            str(tmp_path / "scan" / "depth" / f"{i:05d}.png"),
            np.rint(1000 * view.depth.values).astype(np.uint16),
        )
        rows += [f"{i} {i} {i + 1}", *(" ".join(map(repr, row)) for row in (TO_Y_UP @ pose).tolist())]
    (tmp_path / "trajectory.log").write_text("\n".join(rows))
    d3.save(camera, tmp_path / "camera.json")
    return tmp_path / "scan"


WORDS = ("--trajectory", "trajectory.log", "--camera", "camera.json", "--flying-width-px", 2)


def rms_mm(points, to_truth=TO_Y_UP):
    truth = points.astype(np.float64) @ to_truth[:3, :3].T
    return 1000 * np.sqrt(np.mean(distance_to_surface(sphere_scene(), truth) ** 2))


def numbers_in(path):
    """Vertices as they stand in a PLY, without anybody's idea of axes."""
    import trimesh

    return np.asarray(trimesh.load(path, process=False).vertices)


def test_a_recording_becomes_a_mesh_in_the_numbers_of_its_world(run, recording):
    done = run("fuse", recording, *WORDS, "-o", "room.ply", "--voxel-m", 0.04)
    assert done.exit_code == 0, done.output
    assert re.match(r"room\.ply: Mesh\(.*colors, normals\) of 3 photos, voxels of 0\.04 m", done.stdout)
    assert done.stderr == ""
    assert rms_mm(numbers_in("room.ply")) < 4
    # The header tells the axes, so that our own reader turns it the right way up: y down.
    assert rms_mm(d3.load_mesh("room.ply").vertices, np.eye(4)) < 4


def test_glb_and_clouds_and_json(run, recording):
    done = run("fuse", recording, *WORDS, "-o", "room.glb", "--preview", "views.png", "--json", "-q")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["photos"], facts["world"], facts["output"]) == (3, "opengl", "room.glb")
    assert facts["voxel_m"] == pytest.approx(2 * 4 / d3.load_camera("camera.json").fx, rel=0.1)
    mesh = d3.load_mesh("room.glb")
    assert facts["faces"] == len(mesh.faces)
    assert rms_mm(mesh.vertices, np.eye(4)) < 20  # voxels of 94 mm
    assert cv2.imread("views.png").std() > 5
    assert run("fuse", recording, *WORDS, "-o", "room.npz").exit_code == 0
    assert rms_mm(np.load("room.npz")["points"]) < 20  # voxels of 94 mm
    assert run("fuse", recording, *WORDS, "-o", "cloud.ply", "--result", "cloud").exit_code == 0
    assert len(d3.load_cloud("cloud.ply")) > 1000
    # --world goes before what the cameras suggest.
    assert run("fuse", recording, *WORDS, "-o", "as_is.ply", "--world", "opencv").exit_code == 0
    np.testing.assert_array_equal(numbers_in("as_is.ply"), d3.load_mesh("as_is.ply").vertices)


def test_some_photos_with_the_numbers_of_their_poses(run, recording):
    photos = [recording / "color" / f"0000{i}.png" for i in (0, 2)]
    words = (*photos, "--depths", recording / "depth", *WORDS, "-o", "two.ply")
    assert "2 photos and 3 poses" in run("fuse", *words).stderr
    assert run("fuse", *words, "--match", "number").exit_code == 0
    assert rms_mm(numbers_in("two.ply")) < 20  # voxels of 94 mm


def test_depth_as_metres_and_scaled_integers(run, recording, tmp_path):
    (tmp_path / "npy").mkdir()
    for path in (recording / "depth").iterdir():
        np.save(tmp_path / "npy" / path.stem, d3.load_depth(path).values)
    done = run("fuse", recording, "--depths", "npy", "--depth-kind", "metric", *WORDS, "-o", "a.ply")
    assert done.exit_code == 0, done.output
    assert run("fuse", recording, *WORDS, "-o", "b.ply").exit_code == 0
    np.testing.assert_array_equal(numbers_in("a.ply"), numbers_in("b.ply"))
    assert run("fuse", recording, "--png-scale", 500, *WORDS, "-o", "c.ply").exit_code == 0
    assert np.abs(numbers_in("c.ply")).max() > 1.5 * np.abs(numbers_in("b.ply")).max()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "x.jpg"], "no mesh's"),
        (["-o", "x.jpg", "--result", "cloud"], "no point cloud's"),
        (["-o", "x.npz", "--result", "mesh"], "no mesh's"),
        (["-o", "x.glb", "--unit", "mm"], "leave the frame and the unit out"),
        (["-o", "x.npz", "--frame", "opencv", "--preview", "x.ply"], "no picture's name"),
        (["-o", "taken.ply"], "already exists"),
        (["-o", "x.ply", "--preview", "scan/color/00001.png", "--overwrite"], "the input itself"),
        (["-o", "x.ply", "--preview", "scan/depth/00002.png", "--overwrite"], "the input itself"),
        (["-o", "x.ply", "--voxel-m", "-1"], "voxel_m must be positive"),
        (["-o", "x.ply", "--voxel-m", "50"], "no surface is left.*smaller --voxel-m"),
        (["-o", "x.ply", "--depth-range-m", "90,100"], "no surface is left"),
        (["-o", "x.ply", "--trajectory", "camera.json"], "neither frames"),
        (["-o", "x.ply", "--match", "time"], "no timestamps"),
        (["-o", "x.ply", "--depths", "nowhere"], "can't list the folder"),
    ],
)
def test_bad_words_get_one_sentence_and_leave_nothing(run, recording, tmp_path, words, sentence):
    (tmp_path / "taken.ply").write_bytes(b"precious")
    before = {p.name for p in tmp_path.iterdir()}
    done = run("fuse", recording, *WORDS, *words)
    assert done.exit_code == 1, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert re.search(sentence, errors[0]), errors
    assert {p.name for p in tmp_path.iterdir()} == before
    assert (tmp_path / "taken.ply").read_bytes() == b"precious"


def test_without_depth_files_a_metric_network_is_needed(run, recording, tiny_folder, tiny_network, tmp_path):
    photos = sorted((recording / "color").iterdir())
    words = ("fuse", *photos, *WORDS, "--input-size", 28, "-o", "n.ply")
    done = run(*words, "--model", tiny_folder)
    assert done.exit_code == 1
    assert "relative depth" in done.stderr
    done = run(*words, "--model", tiny_folder, "--png-scale", 1000)
    assert "give --depths FOLDER" in done.stderr
