"""Nothing heavy is loaded before it is needed: proved in fresh interpreters."""

import json
import os
import subprocess
import sys

import pytest
from depth3d_cli.main import COMMANDS, cli

import depth3d

HEAVY = {"numpy", "torch", "transformers", "cv2", "PIL", "scipy", "open3d", "trimesh", "matplotlib", "rich"}
HELPS = [
    [],
    *([name] for name in COMMANDS),
    ["camera", "show"],
    ["camera", "convert"],
    ["camera", "calibrate"],
    ["camera", "undistort"],
    ["effect", "fog"],
    ["effect", "flash"],
    ["effect", "color-splash"],
    ["effect", "dim"],
    ["models", "download"],
    ["train", "finetune"],
]


def modules_after(code):
    """Run code in a fresh interpreter and tell which top-level packages it loaded."""
    report = "\nimport sys, json; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_depth3d_loads_nothing_heavy():
    loaded = modules_after("import depth3d; assert depth3d.__version__; dir(depth3d)")
    assert "depth3d" in loaded
    assert not loaded & HEAVY


def test_every_help_loads_nothing_heavy():
    run = "\n".join(
        f"try:\n    cli({[*words, '--help']!r})\nexcept SystemExit as stop:\n    assert stop.code == 0"
        for words in HELPS
    )
    loaded = modules_after(f"from depth3d_cli.main import cli\n{run}")
    assert "click" in loaded
    assert not loaded & HEAVY


def test_help_is_quick():
    # Processor time, which hardly depends on what else the machine does.
    def once():
        before = os.times()
        subprocess.run([sys.executable, "-m", "depth3d_cli", "--help"], capture_output=True, check=True)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])

    assert min(once() for _ in range(5)) < 0.15


UNUSED = {
    "transformers", "torchvision", "scipy", "matplotlib", "open3d", "trimesh", "pandas", "onnx",
    "onnxruntime", "huggingface_hub.hf_api", "sympy", "av", "rich", "ray", "fsspec",
}  # fmt: skip
"""What no command on one photo that is at hand has a use for."""


def modules_of_command(words, tmp_path):
    """Run a command in a fresh interpreter and tell all modules that it loaded."""
    code = (
        "import atexit, json, sys\n"
        f"file = open({str(tmp_path / 'loaded.json')!r}, 'w')\n"
        "atexit.register(lambda: (json.dump(sorted(sys.modules), file), file.close()))\n"
        f"sys.argv[1:] = {[str(word) for word in words]!r}\n"
        "from depth3d_cli.main import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads((tmp_path / "loaded.json").read_text()))


def test_a_cloud_of_given_depth_needs_neither_a_network_nor_open3d(photo, disparity, tmp_path):
    words = ["cloud", photo, "--depth", disparity, "-o", tmp_path / "cloud.ply"]
    assert not modules_of_command(words, tmp_path) & (UNUSED | {"torch", "openvino"})


@pytest.mark.parametrize(
    "words",
    [["estimate", "-o", "d.npz"], ["cloud", "-o", "c.ply"], ["mesh", "-o", "m.glb"]],
    ids=lambda w: w[0],
)
def test_mini_needs_torch_alone(words, photo, tmp_path):
    command, flag, name = words
    words = [command, photo, "--model", "mini", flag, tmp_path / name]
    assert not modules_of_command(words, tmp_path) & (UNUSED | {"openvino"})


def test_inspecting_and_listing_need_little(photo, tmp_path):
    assert not modules_of_command(["inspect", photo], tmp_path) & (UNUSED | {"torch", "openvino"})
    assert not modules_of_command(["models"], tmp_path) & (
        (UNUSED - {"huggingface_hub"}) | {"torch", "openvino"}
    )


def test_a_network_that_openvino_has_run_needs_no_torch(photo, tmp_path, tiny_folder, monkeypatch):
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache"))
    words = ["cloud", photo, "--model", tiny_folder, "--input-size", 70, "--backend", "openvino"]
    words += ["--device", "cpu", "-o", tmp_path / "c.ply", "--overwrite"]
    assert "torch" in modules_of_command(words, tmp_path)
    first = (tmp_path / "c.ply").read_bytes()
    assert not modules_of_command(words, tmp_path) & (UNUSED | {"torch", "openvino.tools.ovc.convert"})
    assert (tmp_path / "c.ply").read_bytes() == first


def test_every_public_name_resolves_and_is_listed():
    assert set(depth3d.__all__) <= set(dir(depth3d))
    for name in depth3d.__all__:
        assert getattr(depth3d, name) is not None, name
    with pytest.raises(AttributeError, match="nonsense"):
        depth3d.nonsense  # noqa: B018


@pytest.mark.parametrize(
    "first",
    ["depth3d.estimate", "from depth3d.estimate.registry import MODELS", "import depth3d.evaluate.metrics"],
)
def test_rooms_never_take_the_place_of_verbs(first):
    """`estimate` is a verb and a directory, and importing the directory would put it in its place."""
    modules_after(
        f"import depth3d\n{first}\n"
        "from depth3d.estimate.estimator import DepthEstimator\n"
        "from depth3d.estimate import estimator as room\n"
        "assert room.DepthEstimator is depth3d.DepthEstimator is DepthEstimator\n"
        "from depth3d import verbs\n"
        "assert depth3d.estimate is verbs.estimate\n"
        "from depth3d.evaluate import evaluate\n"
        "assert depth3d.evaluate is evaluate\n"
        "for name in depth3d.__all__: assert type(getattr(depth3d, name)).__name__ != 'module', name\n"
    )


def test_short_help_in_the_registry_is_the_commands_own():
    for name, short in COMMANDS.items():
        command = cli.get_command(None, name)
        assert command.name == name
        assert command.get_short_help_str(200) == short.rstrip(".") or command.short_help == short


@pytest.mark.parametrize(("given", "expected"), [(None, "passive"), ("active", "active")])
def test_threads_that_wait_sleep_unless_told_otherwise(given, expected, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    code = (
        "import sys, os, atexit\natexit.register(lambda: print(os.environ['OMP_WAIT_POLICY']))\n"
        "sys.argv[1:] = ['--version']\nfrom depth3d_cli.main import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == expected, done.stderr
