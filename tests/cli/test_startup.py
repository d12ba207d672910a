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
