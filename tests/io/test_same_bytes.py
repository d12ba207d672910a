"""What is written twice has the same bytes: no times and no random numbers in files."""

import time
from importlib.util import find_spec

import numpy as np
import pytest

import depth3d as d3

v, u = np.mgrid[:24, :32]
IMAGE = np.stack([u * 7, v * 9, (u + v) * 4], axis=-1).astype(np.uint8)
CAMERA = d3.Camera(fx=30, fy=30, cx=16, cy=12, width=32, height=24)
DEPTH = d3.DepthMap((1 / (0.3 + 0.002 * u + 0.004 * v)).astype(np.float32), "metric")
SCENE = d3.RGBD(IMAGE, DEPTH, CAMERA)
FRAMES = [np.roll(IMAGE, shift, axis=1) for shift in range(4)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Names of files in two folders, written more than the two seconds apart that archives can tell."""
    folders = [tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")]
    mesh = d3.mesh(SCENE)
    things = {
        DEPTH: ("npz", "npy", "png", "pfm", "tif", "exr"),
        d3.point_cloud(SCENE): ("ply", "pcd", "xyz", "npz"),
        mesh: ("glb", "obj", "ply", "stl", "3mf"),
        CAMERA: ("json", "yaml"),
    }
    names = []
    for number, folder in enumerate(folders):
        if number:
            time.sleep(2.1)
        for thing, suffixes in things.items():
            for suffix in suffixes:
                d3.save(thing, folder / f"{type(thing).__name__}.{suffix}")
        for suffix in ("png", "jpg", "webp", "tif", "bmp"):
            d3.save(IMAGE, folder / f"image.{suffix}")
        for suffix in ("mp4", "mov", "mkv", "webm", "gif", "webp"):
            d3.save(FRAMES, folder / f"film.{suffix}")
        if find_spec("pxr"):
            d3.save(mesh, folder / "mesh.usdz")
        names = sorted(path.name for path in folder.iterdir())
    return folders, names


@pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")
def test_every_format_is_written_with_the_same_bytes_again(written):
    (one, other), names = written
    assert len(names) >= 28
    different = [name for name in names if (one / name).read_bytes() != (other / name).read_bytes()]
    assert not different
