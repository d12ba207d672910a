"""Networks of OpenVINO come and go, and Ctrl-C stays what it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from depth3d.estimate.backends.openvino_blobs import openvino_core, write_blob

openvino = pytest.importorskip("openvino")


def test_an_interrupt_is_an_interrupt_after_networks_were_let_go(tmp_path: Path) -> None:
    from openvino import opset13

    asked = opset13.parameter([1, 4])
    model = openvino.Model([opset13.relu(asked)], [asked])
    write_blob(tmp_path / "one.blob", openvino_core().compile_model(model, "CPU"))
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from depth3d.estimate.backends.openvino_blobs import abilities, import_blob\n"
        f"path = Path({str(tmp_path / 'one.blob')!r})\n"
        "first = import_blob(path, 'f32')\n"
        "second = import_blob(path, 'f32')\n"
        "del first\n"
        "del second\n"
        "abilities()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    signal.sigtimedwait([], 5)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr


def test_there_is_one_core() -> None:
    assert openvino_core() is openvino_core()
