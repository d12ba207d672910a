"""Every reader on broken files: a valid result or one sentence, never another exception, a crash or a hang.

Each format has a process of its own with bounded memory and time (`fork_server.py`): several readers are C
libraries, and a crash of one must not end the tests. The examples are the same on each run;
`DEPTH3D_FUZZ_EXAMPLES` and `DEPTH3D_FUZZ_SEED` draw more and others.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

EXAMPLES = int(os.environ.get("DEPTH3D_FUZZ_EXAMPLES", "30"))
SEED = int(os.environ.get("DEPTH3D_FUZZ_SEED", "1"))
DEADLINE_S = 20
LIMIT_S = 150 + 3 * EXAMPLES
"""For all examples of a file; a tenth of a second each is usual. Below the time limit of a test."""

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
FILES = {
    "read_photo": PHOTOS,
    "read_depth": DEPTHS,
    "read_cloud": CLOUDS,
    "read_mesh": MESHES,
    "read_camera": CAMERAS,
    "read_trajectory": TRAJECTORIES,
    "read_calibration": ("calibration.json",),
    "read_manifest": ("depth3d_manifest.jsonl",),
    "read_checkpoint": CHECKPOINTS,
    "read_film": FILMS,
    "read_anything": ("exif.jpg", "own.png", "m.ply", "c.npz", "calibration.json"),
}
"""Of each function in `readers.py`, the files that it reads."""
ARCHIVES = ("depth.npz", "foreign.npz", "c.npz", "m.3mf", "w.pth")


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore:Open3D was built with CUDA support")  # a seed is written by it
@pytest.mark.parametrize(("reader", "name"), [(reader, name) for reader in FILES for name in FILES[reader]])
def test_broken_files_get_a_result_or_a_sentence(tmp_path, seeds, fork_server, reader, name):
    path = tmp_path / name
    path.write_bytes(seeds[name])
    complaint = fork_server.complaint(
        reader=f"readers.{reader}",
        path=str(path),
        examples=EXAMPLES,
        seed=SEED,
        inside=name in ARCHIVES,
        deadline_s=DEADLINE_S,
        limit_s=LIMIT_S,
    )
    if complaint:
        kept = Path(tempfile.mkdtemp(prefix="depth3d_fuzz_")) / name
        kept.write_bytes(path.read_bytes())
        pytest.fail(f"{complaint}\nThe file is kept as {kept}")
