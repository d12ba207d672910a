"""Every reader on broken files: a valid result or one sentence, never another exception, a crash or a hang.

Each format has a process of its own, forked, with bounded memory: several readers are C libraries, and a
crash of one must not end the tests. The examples are the same on each run; `DEPTH3D_FUZZ_EXAMPLES` and
`DEPTH3D_FUZZ_SEED` draw more and others.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from depth3d.errors import Depth3DError

EXAMPLES = int(os.environ.get("DEPTH3D_FUZZ_EXAMPLES", "30"))
SEED = int(os.environ.get("DEPTH3D_FUZZ_SEED", "1"))
DEADLINE_S = 20
MEMORY_BYTES = 3 << 30
"""Beyond what the process has at its start."""

PHOTOS = ("photo.jpg", "progressive.jpg", "exif.jpg", "gdepth.jpg", "photo.png", "palette.gif", "photo.webp",
          "photo.bmp", "photo.tif", "photo.heic", "photo.avif")  # fmt: skip
DEPTHS = ("millimetres.png", "depth.exr", "depth.pfm", "own.png", "own.tif", "depth.npy", "depth.npz",
          "foreign.npz", "photo.png", "photo.tif")  # fmt: skip
CLOUDS = ("c.ply", "text.ply", "c.pcd", "text.pcd", "c.xyz", "c.npz", "m.ply")
MESHES = ("m.glb", "m.obj", "m.ply", "m.stl", "foreign.stl", "m.3mf")
CAMERAS = ("cameras.txt", "cameras.bin", "ros.yaml", "opencv.yaml", "opencv.xml", "open3d.json",
           "camera.json", "transforms.json")  # fmt: skip
TRAJECTORIES = ("tum.txt", "kitti.txt", "redwood.log", "images.txt", "transforms.json", "poses.npy")
CHECKPOINTS = ("w.safetensors", "w.pth", "old.pth")
FILMS = ("film.mp4", "film.webm", "film.mkv", "film.gif", "film.webp")
ARCHIVES = ("depth.npz", "foreign.npz", "c.npz", "m.3mf", "w.pth")


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


READERS = (
    [(read_photo, name) for name in PHOTOS]
    + [(read_depth, name) for name in DEPTHS]
    + [(read_cloud, name) for name in CLOUDS]
    + [(read_mesh, name) for name in MESHES]
    + [(read_camera, name) for name in CAMERAS]
    + [(read_trajectory, name) for name in TRAJECTORIES]
    + [(read_calibration, "calibration.json"), (read_manifest, "depth3d_manifest.jsonl")]
    + [(read_checkpoint, name) for name in CHECKPOINTS]
    + [(read_film, name) for name in FILMS]
    + [(read_anything, name) for name in ("exif.jpg", "own.png", "m.ply", "c.npz", "calibration.json")]
)


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")  # what libraries say about broken files, and Open3D about CUDA
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a crash must not end the tests, and that takes fork()")
@pytest.mark.parametrize(("read", "name"), READERS, ids=[f"{r.__name__}-{n}" for r, n in READERS])
def test_broken_files_get_a_result_or_a_sentence(tmp_path, seeds, breaking, read, name):
    path = tmp_path / name
    path.write_bytes(seeds[name])
    if read is not read_film:  # a fork does not bring along the threads that FFmpeg starts
        read(path)  # imports what the reader needs once for all
    draw, plainly, inside = breaking
    data = seeds[name]

    def all_examples():
        read(path)
        _bound_memory()
        _tried(lambda steps: plainly(data, steps), draw(), read, path)
        if name in ARCHIVES:
            _tried(lambda steps: inside(data, steps), draw(), read, path)

    complaint = _in_a_process_of_its_own(all_examples)
    if complaint:
        kept = Path(tempfile.mkdtemp(prefix="depth3d_fuzz_")) / name
        kept.write_bytes(path.read_bytes())
        pytest.fail(f"{complaint}\nThe file is kept as {kept}")


def _tried(break_, steps, read, path):
    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(steps)
    def example(drawn):
        path.write_bytes(break_(drawn))
        signal.alarm(DEADLINE_S)
        read(path)
        signal.alarm(0)

    example()


def _in_a_process_of_its_own(work) -> str:
    """Run in a fork whose memory and time are bounded; give what went wrong, or nothing."""
    with tempfile.TemporaryFile("w+") as report:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _watch(report)
                work()
                code = 0
            except BaseException:
                traceback.print_exc(file=report)
                report.flush()
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        report.seek(0)
        text = report.read()[-6000:]
    if status < 0:
        return f"the process ended by {signal.Signals(-status).name}\n{text}"
    return text if status else ""


def _bound_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))


def _watch(report) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.enable(report)
    faulthandler.dump_traceback_later(DEADLINE_S * 20, file=report)
    sys.stdout.flush()
