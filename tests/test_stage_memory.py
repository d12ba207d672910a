"""Peak memory of the stages after the network, as a multiple of what they are given: photo and depth."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MEASURE = """
import ctypes, json, re
from pathlib import Path
import numpy as np, torch
import depth3d as d3
from depth3d import synthetic as syn
from depth3d.lift.normals import grid_normals

torch.set_num_threads(1)
give_back = getattr(ctypes.CDLL(None), "malloc_trim", int)

def peak_kib():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

def scene_of(width, height):
    camera = syn.default_camera(width, height, fov_x_deg=50)
    depth = syn.render_depth(syn.still_life(), camera)
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    return d3.RGBD(image, depth, camera)

still = np.eye(4)[None]
stages = {
    "normals": lambda s: grid_normals(s.depth, s.camera),
    "cloud": lambda s: d3.point_cloud(s),
    "mesh": lambda s: d3.mesh(s),
    "mesh of few": lambda s: d3.mesh(s, max_faces=100_000),
    "matte": lambda s: d3.depth_matte(s, far_m=1.2),
    "bokeh": lambda s: d3.bokeh(s, focus_m=1.2, strength_px=20, edges="keep", device="cpu"),
    "view": lambda s: next(d3.render_views(s, still, device="cpu")),
}
small, large = scene_of(160, 120), scene_of(1280, 960)
given = large.image.nbytes + large.depth.values.nbytes
found = {}
for name, stage in stages.items():
    stage(small)
    give_back(0)  # what is free, and kept, would be taken without growing
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_kib()
    stage(large)
    found[name] = (peak_kib() - before) * 1024 / given
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_no_stage_takes_many_times_its_input():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    # At this size fixed blocks count, too. Results alone: a cloud's is twice its input, a mesh's eight times,
    # layers' six times.
    most = {"normals": 3, "cloud": 4, "mesh": 11, "mesh of few": 15, "matte": 5, "bokeh": 15, "view": 25}
    assert set(found) == set(most)
    assert {name: times for name, times in found.items() if times > most[name]} == {}
