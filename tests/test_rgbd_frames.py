"""Frames of a recording: each photo gets its own depth and its own pose, or a sentence."""

import numpy as np
import pytest

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.frames import FRAMES, to_frame
from depth3d.io.trajectories import Trajectory
from depth3d.rgbd_frames import find_frames, pose_of_axes, world_axes
from depth3d.synthetic.poses import look_at


def poses(count):
    """Told apart by x."""
    stack = np.tile(np.eye(4), (count, 1, 1))
    stack[:, 0, 3] = np.arange(count)
    return stack


@pytest.fixture
def recording(tmp_path):
    """Twelve empty frames whose names sort by number, not by letter."""
    for folder, suffix in (("color", "jpg"), ("depth", "png")):
        (tmp_path / folder).mkdir()
        for i in range(12):
            (tmp_path / folder / f"frame{i}.{suffix}").touch()
    return tmp_path


def summary(frames):
    return [(f.photo.stem, f.depth and f.depth.stem, int(f.pose[0, 3])) for f in frames]


def test_a_recordings_folder(recording):
    frames = find_frames([recording], Trajectory(poses(12)))
    assert summary(frames) == [(f"frame{i}", f"frame{i}", i) for i in range(12)]


def test_photos_and_a_folder_of_depths_with_numbered_poses(recording):
    photos = [recording / "color" / f"frame{i}.jpg" for i in (10, 2)]
    frames = find_frames(photos, Trajectory(poses(12)), depths=recording / "depth", match="number")
    assert summary(frames) == [("frame10", "frame10", 10), ("frame2", "frame2", 2)]
    assert summary(find_frames(photos, Trajectory(poses(2)))) == [("frame10", None, 0), ("frame2", None, 1)]


def test_names_go_before_order(recording):
    names = tuple(f"images/frame{i}.jpg" for i in reversed(range(12)))
    frames = find_frames([recording], Trajectory(poses(12), names=names))
    assert [int(f.pose[0, 3]) for f in frames] == list(reversed(range(12)))
    # Stems are enough: COLMAP may have seen PNGs. Poses may be left over.
    names = (*(f"frame{i}.png" for i in range(12)), "another.png")
    assert summary(find_frames([recording], Trajectory(poses(13), names=names)))[7] == (
        "frame7",
        "frame7",
        7,
    )


def test_times(tmp_path):
    (tmp_path / "rgb").mkdir()
    for time in ("10.000", "10.105", "10.190"):
        (tmp_path / "rgb" / f"{time}.png").touch()
    track = Trajectory(poses(21), timestamps_s=9.9 + 0.02 * np.arange(21))
    frames = find_frames([tmp_path / "rgb"], track)
    np.testing.assert_array_equal([f.pose[0, 3] for f in frames], [5, 10, 14])
    late = Trajectory(poses(3), timestamps_s=[10.0, 10.1, 10.5])
    with pytest.raises(InputError, match=r"no pose within 20 ms of 10\.190\.png"):
        find_frames([tmp_path / "rgb"], late, match="time")


def test_depth_names(tmp_path):
    for name in ("rgb/b.jpg", "rgb/a.jpg", "maps/b_depth.npz", "maps/a_depth.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    frames = find_frames([tmp_path / "rgb"], Trajectory(poses(2)), depths=tmp_path / "maps")
    assert summary(frames) == [("a", "a_depth", 0), ("b", "b_depth", 1)]
    for name in ("a", "b"):
        (tmp_path / "maps" / f"{name}_depth.npz").rename(tmp_path / "maps" / f"1{name}.npz")
    frames = find_frames([tmp_path / "rgb"], Trajectory(poses(2)), depths=tmp_path / "maps")
    assert [f.depth.name for f in frames] == ["1a.npz", "1b.npz"]  # no name agrees: by order


def test_depth_names_of_sensors(tmp_path):
    for i in (1, 2, 3):
        for name in (f"rgb/rgb_{i:05d}.jpg", f"maps/sync_depth_{i:05d}.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
    (tmp_path / "rgb/rgb_00001.jpg").unlink()
    frames = find_frames([tmp_path / "rgb"], Trajectory(poses(2)), depths=tmp_path / "maps")
    assert [f.depth.name for f in frames] == ["sync_depth_00002.png", "sync_depth_00003.png"]


def test_a_photo_that_the_trajectory_lacks_shifts_no_poses(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).touch()
    track = Trajectory(poses(3), names=("a.jpg", "c.jpg", "d.jpg"))
    with pytest.raises(InputError, match=r"no picture of the name b\.jpg"):
        find_frames([tmp_path], track)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").unlink()
    for time in ("1.0", "2.0", "3.0"):
        (tmp_path / f"{time}.jpg").touch()
    with pytest.raises(InputError, match=r"within 20 ms of 2\.0\.jpg"):
        find_frames([tmp_path], Trajectory(poses(3), timestamps_s=[1.0, 3.0, 4.0]))


def test_what_is_refused(recording, tmp_path):
    twelve = Trajectory(poses(12))
    with pytest.raises(InputError, match=r"12 photos and 5 poses.*--match number"):
        find_frames([recording], Trajectory(poses(5)))
    with pytest.raises(InputError, match=r"none for frame5\.jpg"):
        find_frames([recording], Trajectory(poses(5)), match="number")
    with pytest.raises(InputError, match="no names of pictures"):
        find_frames([recording], twelve, match="name")
    with pytest.raises(InputError, match="no timestamps"):
        find_frames([recording], twelve, match="time")
    with pytest.raises(InputError, match=r"no picture of the name frame0\.jpg"):
        find_frames([recording], Trajectory(poses(1), names=("x.jpg",)), match="name")
    with pytest.raises(InputError, match="not named after its time"):
        find_frames([recording], Trajectory(poses(12), timestamps_s=np.arange(12.0)), match="time")
    with pytest.raises(InputError, match="match must be one of"):
        find_frames([recording], twelve, match="colour")
    with pytest.raises(InputError, match="no photos"):
        find_frames([], twelve)
    with pytest.raises(UnreadableFileError, match=r"nowhere is no file; give photos"):
        find_frames([recording / "nowhere"], twelve)
    (recording / "depth" / "frame3.png").unlink()
    with pytest.raises(InputError, match=r"nothing in .* has the name of frame3\.jpg"):
        find_frames([recording], twelve)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFileError, match="no photos in"):
        find_frames([tmp_path / "empty"], twelve)
    with pytest.raises(UnreadableFileError, match="can't list the folder"):
        find_frames([recording], twelve, depths=tmp_path / "none")


def test_axes_of_a_world_from_cameras_held_upright():
    eyes = [(np.cos(a), np.sin(a)) for a in np.linspace(0, 5, 8)]
    down = np.stack([look_at((x, -0.5, y), (0, 0, 0), up=(0, -1, 0)) for x, y in eyes])
    up = np.stack([look_at((x, 0.5, y), (0, 0, 0), up=(0, 1, 0)) for x, y in eyes])
    z_up = np.stack([look_at((x, y, 0.5), (0, 0, 0), up=(0, 0, 1)) for x, y in eyes])
    assert [world_axes(group) for group in (down, up, z_up)] == ["opencv", "opengl", "blender"]
    overhead = np.stack([look_at((0.01, y, 3.0), (0, y, 0), up=(1, 0, 0)) for _, y in eyes])
    assert world_axes(overhead) == "opencv"  # nothing is clearly up: leave it


@pytest.mark.parametrize("axes", FRAMES)
def test_turning_to_our_axes_and_saving_with_the_worlds_keeps_its_numbers(axes):
    points = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    ours = (points @ pose_of_axes(axes)[:3, :3].T).astype(np.float32)
    np.testing.assert_array_equal(to_frame(ours, axes), points)
