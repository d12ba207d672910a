"""`depth3d train finetune`: results on stdout, one sentence for an error, and the same as from Python."""

import io
import json
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
import torch
from depth3d_cli.commands.train import finetune as command

import depth3d
from depth3d.core.depth import DepthMap
from depth3d.train.settings import FinetuneSettings


@pytest.fixture
def data(tmp_path):
    """Three photos of noise with metric depth."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(3):
        depth3d.save(rng.integers(0, 256, (70, 90, 3)).astype(np.uint8), folder / f"{i}.jpg")
        depth3d.save(DepthMap(1 + rng.random((70, 90)), "metric"), folder / f"{i}_depth.npz")
    return folder


def test_it_prints_what_came_of_it_and_the_result_is_a_model(run, tiny_folder, data):
    words = ("train", "finetune", "--model", tiny_folder, "--data", data, "--out", "mine", "--steps", 2)
    done = run(*words, "--device", "cpu")
    assert (done.exit_code, done.stderr) == (0, "")
    first, *scores = done.stdout.splitlines()
    assert first.endswith("after 2 steps on 2 photos")
    assert [line.split(":")[0].strip() for line in scores] == ["abs_rel", "delta1", "spearman", "boundary_f1"]
    again = run(*words)
    assert again.exit_code == 1
    assert again.stderr.splitlines() == [
        "Error: mine holds a finished network; use --overwrite (overwrite=True) or another one"
    ]
    assert (
        run("estimate", data / "0.jpg", "-o", "d.npz", "--model", "./mine", "--device", "cpu").exit_code == 0
    )
    assert depth3d.load_depth("d.npz").size_wh == (90, 70)


def test_json_is_all_there_is_on_stdout(run, tiny_folder, data):
    done = run(
        "train", "finetune", "--model", tiny_folder, "--data", data, "-o", "mine", "--steps", 1, "--json",
        "--metric", "--max-depth-m", 5, "--device", "cpu",
    )  # fmt: skip
    assert (done.exit_code, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["folder"] == "mine"
    assert (facts["kind"], facts["max_depth_m"], facts["steps"]) == ("metric", 5, 1)
    assert (facts["photos"], facts["validation_photos"]) == (2, 1)
    assert set(facts["after"]) == {"abs_rel", "delta1", "spearman", "boundary_f1"}
    assert facts["licence"] == "unknown"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-depth-m", "20"], "add --metric"),
        (["--input-size", "100"], "multiple of 14, got 100; use 98"),
        (["--model", "smal"], "did you mean 'small'?"),
        (["--device", "tpu"], "device must be auto"),
        (["--data", "nowhere"], "nowhere is no directory"),
    ],
)
def test_errors_are_one_sentence(run, tiny_folder, data, words, message):
    done = run("train", "finetune", "--model", tiny_folder, "--data", data, "--out", "mine", *words)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_usual_variable_chooses_the_device(run, tiny_folder, data, monkeypatch):
    monkeypatch.setenv("DEPTH3D_DEVICE", "tpu")
    done = run("train", "finetune", "--model", tiny_folder, "--data", data, "--out", "mine")
    assert done.exit_code == 1
    assert "device must be auto" in done.stderr


@pytest.mark.parametrize("words", [["--steps", "0"], ["--max-depth-m", "2.5"], ["--dtype", "float16"]])
def test_nonsense_is_a_usage_error(run, data, words):
    assert run("train", "finetune", "--data", data, "--out", "mine", *words).exit_code == 2


def test_the_command_line_has_every_setting_with_the_same_default():
    given = command.make_context("finetune", ["--data", "photos", "--out", "mine"]).params
    for field in fields(FinetuneSettings):
        assert given[field.name] == field.default, field.name


def test_a_killed_run_goes_on_with_the_same_command(run, tmp_path, tiny_folder, data):
    """SIGKILL once there is a checkpoint; the same words do the rest."""
    out = tmp_path / "mine"
    words = [
        "train", "finetune", "--model", str(tiny_folder), "--data", str(data), "--out", str(out),
        "--steps", "80", "--checkpoint-steps", "5", "--batch-size", "1", "--device", "cpu",
    ]  # fmt: skip
    running = subprocess.Popen([sys.executable, "-m", "depth3d_cli", *words], stderr=subprocess.PIPE)
    try:
        while not (out / "training" / "checkpoint.pt").exists():
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.01)
    finally:
        running.kill()
        running.communicate()
    assert not (out / "model.safetensors").exists()
    done_before = torch.load(out / "training" / "checkpoint.pt")["steps"]
    assert 5 <= done_before < 80
    assert run(*words).exit_code == 0
    steps = [
        int(line.split(",")[0]) for line in (out / "training" / "losses.csv").read_text().splitlines()[1:]
    ]
    assert steps == list(range(80))
    assert depth3d.DepthEstimator.from_pretrained(out, device="cpu").name == "mine"


def test_a_terminal_gets_a_bar_of_steps(monkeypatch, tmp_path, tiny_folder, data):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", Terminal())
    command.callback(
        model=tiny_folder, data=data, out=tmp_path / "mine", overwrite=False, device="cpu", workers=0,
        as_json=True, steps=3, batch_size=1,
    )  # fmt: skip
    assert "Training" in sys.stderr.getvalue()
    assert "3/3" in sys.stderr.getvalue()
