"""Threads: no more than affinity and control groups allow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from depth3d.accel import threads
from depth3d.accel.threads import bound_threads, fewer_threads, share_threads, usable_cpus


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of sixteen cores that says nothing of affinity."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 16),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, 16),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 2),  # 1.5 is rounded up
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "5000 100000"}, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "6400000 100000"}, 16),
        (  # the least of a group and those above it
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
            },
            3,
        ),
        (  # a container sees the path of the host and the files at the top
            {"proc/self/cgroup": "0::/docker/1f", "sys/fs/cgroup/cpu.max": "400000 100000"},
            4,
        ),
        (  # version 1
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/1f\n3:memory:/docker/1f",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "500000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            5,
        ),
        (
            {
                "proc/self/cgroup": "4:cpuacct,cpu:/docker/1f",
                "sys/fs/cgroup/cpu/docker/1f/cpu.cfs_quota_us": "500000",
                "sys/fs/cgroup/cpu/docker/1f/cpu.cfs_period_us": "100000",
            },
            5,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            16,
        ),
        ({"proc/self/cgroup": "nonsense", "sys/fs/cgroup/cpu.max": ""}, 16),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1 0"}, 16),
    ],
)
def test_control_groups(sixteen: None, tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert usable_cpus(_tree(tmp_path, files)) == expected


def test_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 7, 9}, raising=False)
    assert usable_cpus(tmp_path) == 3


def test_here_it_is_a_number_of_this_machine() -> None:
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("started", "usable", "variable", "expected"),
    [(8, 2, None, 2), (2, 8, None, 2), (8, 2, "OMP_NUM_THREADS", 8), (8, 2, "MKL_NUM_THREADS", 8)],
)
def test_threads_are_lowered_never_raised_and_left_where_someone_set_them(
    monkeypatch: pytest.MonkeyPatch, started: int, usable: int, variable: str | None, expected: int
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv(variable, "8")
    count = started

    def set_count(value: int) -> None:
        nonlocal count
        count = value

    monkeypatch.setattr(threads, "usable_cpus", lambda: usable)
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)
    monkeypatch.setattr(torch, "set_num_threads", set_count)
    assert bound_threads() == expected == count


def test_blocks_divide_and_give_back() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(6)
        with fewer_threads(3):
            divided = torch.get_num_threads()
            share_threads()  # once is enough
            assert torch.get_num_threads() == divided == bound_threads() <= 2
            with fewer_threads(100):
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == divided
        assert divided <= torch.get_num_threads() <= 6
    finally:
        torch.set_num_threads(before)


def test_blocks_wait_for_pytorch_and_do_not_import_it() -> None:
    program = """
import sys
from depth3d.accel.threads import fewer_threads
with fewer_threads(4):
    assert "torch" not in sys.modules
    import torch
    torch.set_num_threads(4)
    from depth3d.accel.devices import resolve_device
    resolve_device("cpu")
    assert torch.get_num_threads() == 1
assert torch.get_num_threads() == 4
with fewer_threads(4):
    import numpy as np
    from depth3d.accel.tensors import tensor_view
    tensor_view(np.ones(1))
    assert torch.get_num_threads() == 1
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
