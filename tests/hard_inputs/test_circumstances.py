"""Where it runs: without a home or with a closed one, into a full disk; and memory of large maps."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.io.depth_files import save_depth
from depth3d.io.previews import colorize_depth, gray16

WORDS = (sys.executable, "-m", "depth3d_cli")


def run(*words, folder, **changed):
    env = {name: value for name, value in (os.environ | changed).items() if value is not None}
    return subprocess.run(
        [*WORDS, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.parametrize("home", [None, "/dev/null/none"])
def test_no_home_and_one_that_cannot_be_written(tmp_path, hard_files, home):
    (tmp_path / "photo.png").write_bytes(hard_files["photo.png"])
    words = ("estimate", "photo.png", "-o", "depth.npz", "--preview", "--legend", "--model", "mini")
    none = dict.fromkeys(("DEPTH3D_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"))
    done = run(*words, folder=tmp_path, HOME=home, **none)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["depth.npz", "depth_preview.png", "photo.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_result_that_cannot_be_printed(tmp_path, hard_files):
    (tmp_path / "depth.npz").write_bytes(hard_files["depth.npz"])
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*WORDS, "inspect", "depth.npz"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=200, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    sentence = "can't print the result: No space left on device; free space, or send it elsewhere"
    assert done.stderr == f"Error: {sentence}\n"


@pytest.mark.parametrize("kind", ["metric", "relative"])
@pytest.mark.parametrize("suffix", [".png", ".pfm", ".exr", ".npy"])
def test_large_maps_are_written_with_little_memory(tmp_path, kind, suffix):
    values = np.linspace(1, 2, 16_000_000, dtype=np.float32).reshape(4000, 4000)
    depth = DepthMap(values, kind)
    tracemalloc.start()
    save_depth(depth, tmp_path / f"d{suffix}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 14 * values.size  # the blocks alone are 9 bytes a pixel of this small a map


@pytest.mark.parametrize("draw", [gray16, colorize_depth])
def test_blocks_of_rows_are_drawn_as_the_whole_is(draw, monkeypatch):
    values = np.random.default_rng(0).uniform(1, 9, (37, 23)).astype(np.float32)
    values[5, 7] = np.nan
    depth = DepthMap(values, "relative")
    whole = draw(depth)
    monkeypatch.setattr("depth3d.io.previews._BLOCK_PX", 100)
    np.testing.assert_array_equal(draw(depth), whole)
