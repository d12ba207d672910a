"""How each kind of file is read; what comes out is a result or an error of ours with one sentence."""

from __future__ import annotations

from dataclasses import replace

from depth3d.errors import Depth3DError


def read_photo(path):
    from depth3d.io.embedded_depth import read_embedded_depth
    from depth3d.io.images import load_photo, read_photo_info

    for read in (read_photo_info, read_embedded_depth, load_photo):
        _tolerantly(read, path)


def read_depth(path):
    from depth3d.io.depth_files import read_depth

    for kind in ("metric", "relative", None):
        _tolerantly(lambda kind=kind: read_depth(path, kind=kind))


def read_cloud(path):
    from depth3d.io.geometry_files import read_cloud

    _tolerantly(read_cloud, path)


def read_mesh(path):
    from depth3d.io.mesh_files import read_mesh

    _tolerantly(read_mesh, path)


def read_camera(path):
    from depth3d.io.camera_files import load_camera

    _tolerantly(load_camera, path)
    _tolerantly(lambda: load_camera(path, width=24, height=16, name="1"))


def read_trajectory(path):
    from depth3d.io.trajectories import TRAJECTORY_FORMATS, load_trajectory

    for format_ in TRAJECTORY_FORMATS:
        _tolerantly(lambda format_=format_: load_trajectory(path, format=format_))


def read_calibration(path):
    from depth3d.verbs import load_calibration

    _tolerantly(lambda: repr(load_calibration(path)) and load_calibration(path).to_json())


def read_checkpoint(path):
    from depth3d.estimate.checkpoints import load_checkpoint

    _tolerantly(load_checkpoint, path)


def read_film(path):
    from depth3d.io.video_input import open_video

    def frames():
        with open_video(path, max_frames=8) as film:
            return [frame.image.shape for frame in film]

    _tolerantly(frames)


def read_manifest(path):
    from depth3d.io.manifest import Manifest, outputs_listed_in
    from depth3d.many_files import Carry, Task

    folder, task = path.parent, Task(path, (path.parent / "a.npz",))
    manifest = Manifest(folder, {"command": "estimate", "model": "mini"}, resume=True)
    _tolerantly(manifest.check, [path])
    result = Carry(_nothing, folder)(replace(task, done=manifest.record_of(task.output)))
    assert result.error is None, result.reason
    _tolerantly(outputs_listed_in, folder)


def _nothing(task):
    pass


def read_anything(path):
    from depth3d.inspection import inspect

    _tolerantly(inspect, path)


def _tolerantly(read, *arguments):
    """Call; ours is the only kind of error that may come out, on one line and with something to do."""
    try:
        read(*arguments)
    except Depth3DError as error:
        assert "\n" not in str(error), str(error)  # noqa: PT017
