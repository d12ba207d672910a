"""Trajectories: the same cameras in every program's file, and what is no pose refused."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import depth3d as d3
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.trajectories import Trajectory, load_trajectory

GL = np.diag([1.0, -1, -1, 1])


@pytest.fixture
def poses():
    """Five cameras turned every way, in metres."""
    draw = np.random.default_rng(3)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3, :3] = Rotation.random(5, random_state=4).as_matrix()
    poses[:, :3, 3] = draw.uniform(-3, 3, (5, 3))
    return poses


def redwood(poses):
    rows = []
    for i, pose in enumerate(poses):
        rows += [f"{i} {i} {i + 1}", *(" ".join(map(repr, row)) for row in pose.tolist())]
    return "\n".join(rows) + "\n"


def tum(poses):
    rows = ["# ground truth trajectory", "# timestamp tx ty tz qx qy qz qw"]
    for i, pose in enumerate(poses):
        numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]  # x y z w
        rows.append(" ".join(map(repr, [1305031102.25 + i, *map(float, numbers)])))
    return "\n".join(rows)


def kitti(poses):
    return "\n".join(" ".join(map(repr, pose[:3].ravel().tolist())) for pose in poses)


def nerfstudio(poses):
    frames = [
        {"file_path": f"images/{i:05d}.png", "transform_matrix": (pose @ GL).tolist()}
        for i, pose in enumerate(poses)
    ]
    return json.dumps({"fl_x": 500, "frames": frames})


def open3d_json(poses):
    views = [{"extrinsic": np.linalg.inv(pose).T.ravel().tolist(), "intrinsic": {}} for pose in poses]
    return json.dumps({"class_name": "PinholeCameraTrajectory", "parameters": views})


def colmap(poses):
    rows = ["# Image list with two lines of data per image:"]
    for i, pose in enumerate(poses):
        inverse = np.linalg.inv(pose)
        x, y, z, w = Rotation.from_matrix(inverse[:3, :3]).as_quat()
        rows.append(" ".join(map(str, [i + 1, w, x, y, z, *inverse[:3, 3], 1, f"left {i:05d}.png"])))
        # Empty where nothing was found; or triples, whose tenth word is no name.
        rows.append("" if i == 0 else "1 2.5 -1 3 4.25 17 5 6 8 7.5 8.5 2")
    return "\n".join(rows) + "\n"


WRITERS = {
    "redwood": redwood,
    "tum": tum,
    "kitti": kitti,
    "nerfstudio": nerfstudio,
    "open3d": open3d_json,
    "colmap": colmap,
}


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_camera_to_world_with_our_axes(kind, explicit, poses, tmp_path):
    (tmp_path / "t.any").write_text(WRITERS[kind](poses))
    found = load_trajectory(tmp_path / "t.any", format=kind if explicit else "auto")
    np.testing.assert_allclose(found.poses, poses, atol=1e-12)
    assert len(found) == 5
    assert (found.names is not None) == (kind in ("nerfstudio", "colmap"))
    assert (found.timestamps_s is not None) == (kind == "tum")


def test_names_and_timestamps_are_those_of_the_file(poses, tmp_path):
    (tmp_path / "images.txt").write_text(colmap(poses))
    assert load_trajectory(tmp_path / "images.txt").names == tuple(f"left {i:05d}.png" for i in range(5))
    (tmp_path / "transforms.json").write_text(nerfstudio(poses))
    assert load_trajectory(tmp_path / "transforms.json").names[2] == "images/00002.png"
    (tmp_path / "t.txt").write_text(tum(poses))
    np.testing.assert_array_equal(
        load_trajectory(tmp_path / "t.txt").timestamps_s, 1305031102.25 + np.arange(5)
    )


def test_numpy_arrays(poses, tmp_path):
    np.save(tmp_path / "t.npy", poses)
    found = d3.load_trajectory(tmp_path / "t.npy")
    np.testing.assert_allclose(found.poses, poses, atol=1e-12)
    assert not found.poses.flags.writeable


def test_a_point_before_the_camera_is_where_colmap_says(tmp_path):
    """Half a turn about y and a step: a point 2 m ahead, by the formula of COLMAP's own page."""
    (tmp_path / "images.txt").write_text("1 0 0 1 0 0.5 0 3 1 a.png\n\n")
    pose = load_trajectory(tmp_path / "images.txt").poses[0]
    world = pose @ [0, 0, 2, 1]
    # X_camera = R X_world + t with R = diag(-1, 1, -1): X_world = R^T (X_camera - t).
    np.testing.assert_allclose(world[:3], [0.5, 0, 1], atol=1e-12)


def test_few_digits_become_exact_rotations_that_barely_differ(poses, tmp_path):
    (tmp_path / "t.txt").write_text(kitti(np.round(poses, 3)))
    found = load_trajectory(tmp_path / "t.txt").poses
    R = found[:, :3, :3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-13)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-13)
    np.testing.assert_allclose(found, poses, atol=2e-3)


def test_the_real_redwood_trajectory(shared_data):
    found = load_trajectory(shared_data / "redwood_icl_nuim" / "trajectory.log")
    written = np.loadtxt(shared_data / "redwood_icl_nuim" / "trajectory.log", skiprows=1, max_rows=4)
    assert repr(found) == "Trajectory(5 poses)"
    np.testing.assert_allclose(found.poses[0], written, atol=1e-9)


SCALED = np.diag([2.0, 2, 2, 1])
MIRRORED = np.diag([1.0, 1, -1, 1])


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("", UnreadableFileError, "is empty"),
        ("\n \n# nothing\n", UnreadableFileError, "no format that is known"),
        ("1 2 3 4 5\n", UnreadableFileError, "no format that is known"),
        (redwood([np.eye(4)] * 2)[:-12], UnreadableFileError, "pose 1 must be a line of 3 numbers"),
        (tum([np.eye(4)]) + "\n1 2 3\n", UnreadableFileError, "pose 1 must be 8 numbers"),
        (kitti([np.eye(4)]).replace("1.0", "one"), UnreadableFileError, "must be numbers"),
        (kitti([SCALED]), InputError, "take scale and mirroring out"),
        (redwood([np.eye(4), MIRRORED]), InputError, "pose 1 must be a rotation"),
        (kitti([np.full((4, 4), np.nan)]), InputError, "pose 0 must be a rotation"),
        ("0 0 0 0 0 0 0 2\n", InputError, "quaternion of pose 0 must have length 1, got 2"),
        ('{"frames": [{"file_path": "a"}]}', UnreadableFileError, r"frames\[0\] must have a 4x4"),
        (
            '{"frames": [{"transform_matrix": [1%s]}]}' % (400 * "0"),
            UnreadableFileError,
            r"frames\[0\] must have a 4x4",
        ),
        ('{"frames": []}', UnreadableFileError, "no poses"),
        ('{"fl_x": 5}', UnreadableFileError, "neither frames"),
        ('{"frames": ', UnreadableFileError, "damaged JSON"),
        (
            "# Number of images: 2, mean observations\n1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 0 0 0 1 17\n\n",
            UnreadableFileError,
            "states 2 images and 1 can be read",
        ),
    ],
)
def test_bad_files_get_one_sentence(text, error, sentence, tmp_path):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(error, match=sentence) as caught:
        load_trajectory(tmp_path / "t.txt")
    assert "t.txt" in str(caught.value)


def test_other_bad_inputs(tmp_path, poses):
    np.save(tmp_path / "flat.npy", poses[0])
    with pytest.raises(UnreadableFileError, match=r"shape \(n, 4, 4\), got \(4, 4\)"):
        load_trajectory(tmp_path / "flat.npy")
    (tmp_path / "images.bin").write_bytes(b"\x05\0\0\0\0\0\0\0\xff\xfe")
    with pytest.raises(UnreadableFileError, match=r"model_converter"):
        load_trajectory(tmp_path / "images.bin")
    with pytest.raises(UnreadableFileError, match="does not exist"):
        load_trajectory(tmp_path / "none.log")
    with pytest.raises(InputError, match="format must be one of"):
        load_trajectory(tmp_path / "flat.npy", format="bundler")
    with pytest.raises(InputError, match="names must be as many"):
        Trajectory(poses, names=("a",))
    with pytest.raises(InputError, match=r"poses\[0\] must be a rigid"):
        Trajectory(2 * poses)
