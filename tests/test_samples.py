"""Every sample runs offline, stays short, and leaves what it says."""

import runpy
from pathlib import Path

import pytest

import depth3d as d3

SAMPLES = sorted((Path(__file__).parents[1] / "samples").glob("[0-9]*.py"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_sample_runs(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    runpy.run_path(str(sample), run_name="__main__")
    printed = capsys.readouterr().out
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert printed or made
    assert len(sample.read_text().splitlines()) < 60


def test_samples_are_numbered_without_gaps():
    assert [int(path.name[:2]) for path in SAMPLES] == list(range(1, len(SAMPLES) + 1))


def test_shipped_scene_agrees_with_itself():
    data = SAMPLES[0].parent / "data"
    opened = d3.open_photo(data / "still_life.png", depth=data / "still_life_depth.png")
    assert opened.notes == ()
    assert opened.scene.camera.size_wh == opened.scene.size_wh
    assert opened.scene.depth.valid.mean() > 0.9
