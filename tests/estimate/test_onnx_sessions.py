"""ONNX Runtime as depth3d imports it: silent, and clear about a full disk."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import depth3d
from depth3d.estimate.backends import onnx_sessions

pytest.importorskip("onnxruntime")

ASK = """
import os
from depth3d.estimate.backends.onnx_sessions import silent_onnxruntime
exec(os.environ.get("FIRST", ""))
silent_onnxruntime().SessionOptions()
print(os.environ.get("ORT_DISABLE_TELEMETRY"))
"""


@pytest.mark.parametrize(
    ("given", "first", "kept"), [(None, "", "1"), ("0", "", "0"), (None, "import onnxruntime", "None")]
)
def test_it_reports_to_nobody_unless_it_is_allowed_to(
    tmp_path: Path, given: str | None, first: str, kept: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "CI")}
    environment |= {"FIRST": first, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    if given is not None:
        environment["ORT_DISABLE_TELEMETRY"] = given
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [kept]
    if kept == "1":  # where it reports, it keeps a number of its own there
        assert [*tmp_path.iterdir()] == []


def test_nothing_imports_it_in_another_way() -> None:
    package = Path(depth3d.__file__).parent
    found = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found == ["onnx_sessions.py"]


@pytest.mark.parametrize(("free", "is_full"), [(99, True), (101, False)])
def test_a_full_disk_is_called_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, is_full: bool
) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"-" * 100)  # which ONNX Runtime can't read
    monkeypatch.setattr(onnx_sessions.shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    with pytest.raises(Exception, match=r"No space|ONNXRuntimeError") as caught:
        onnx_sessions.optimise(tmp_path / "graph.onnx", tmp_path / "made.onnx")
    assert isinstance(caught.value, OSError) == is_full
    assert getattr(caught.value, "errno", None) == (errno.ENOSPC if is_full else None)
