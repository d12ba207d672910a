"""`--profile`: a table on stderr that adds up, from every command."""

import subprocess
import sys

import click
import numpy as np
import pytest
from depth3d_cli.main import COMMANDS, cli

import depth3d as d3


def table_of(stderr):
    lines = stderr.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("stage "))
    rows = {}
    for line in lines[start + 1 : -1]:
        words = line.split()
        numbers = [i for i, word in enumerate(words) if word.replace(".", "").isdigit()]
        rows[" ".join(words[: numbers[0]])] = float(words[numbers[0]])
    return rows, float(lines[-1].split()[0])


def every_command(group=cli, words=()):
    for name in COMMANDS if group is cli else group.commands:
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def test_every_command_has_it():
    without = [
        name
        for name, command in every_command()
        if "--profile" not in [option for parameter in command.params for option in parameter.opts]
    ]
    assert without == []


def test_the_stages_of_a_command_add_up(run, photo, disparity, tmp_path):
    done = run("cloud", photo, "--depth", disparity, "-o", tmp_path / "cloud.ply", "--profile", "-q")
    assert done.exit_code == 0, done.output
    rows, wall_s = table_of(done.stderr)
    assert {"reading", "calibrating", "point cloud", "depth3d cloud", "writing", "rest"} <= set(rows)
    assert "start-up" not in rows  # this process began long before
    assert sum(rows.values()) == pytest.approx(wall_s, rel=0.05, abs=0.01)
    assert "stage  " not in done.stdout


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        (("bokeh", "--focus", "10,10", "-o", "b.png"), {"bokeh", "writing"}),
        (("cloud", "--preview", "p.png", "-o", "c.ply"), {"point cloud", "preview"}),
        (("mesh", "--preview", "p.png", "-o", "m.glb"), {"mesh", "preview"}),
        (("parallax", "-o", "p.html"), {"layers", "writing"}),
        (("stereo", "-o", "s.png"), {"layers", "views"}),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_the_work_of_a_command_has_stages_of_its_own(words, stages, run, photo, disparity, tmp_path):
    command, *others = words
    done = run(command, photo, "--depth", disparity, *others, "--profile", "-q")
    assert done.exit_code == 0, done.output
    rows, _ = table_of(done.stderr)
    assert stages | {f"depth3d {command}", "reading", "rest"} <= set(rows)


def test_of_a_film_steadying_counts(run, tmp_path):
    rng = np.random.default_rng(0)
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(4):
        d3.save(rng.integers(0, 255, (48, 64, 3), np.uint8), frames / f"{number}.png")
    done = run("video", frames, "-o", "d.mp4", "--model", "mini", "--input-size", 64, "--profile", "-q")
    assert done.exit_code == 0, done.output
    rows, _ = table_of(done.stderr)
    assert {"network", "steadying", "range and cuts", "planning depth", "depth", "writing"} <= set(rows)
    assert rows["steadying"] > 0


def test_of_a_process_its_start_counts(photo, disparity, tmp_path):
    words = ["cloud", photo, "--depth", disparity, "-o", tmp_path / "cloud.ply", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "depth3d_cli", *map(str, words), "--profile"], capture_output=True, text=True
    )
    assert done.returncode == 0
    rows, wall_s = table_of(done.stderr)
    assert list(rows)[:3] == ["start-up", "imports", "reading"]
    assert 0.01 < rows["start-up"] < wall_s
    assert sum(rows.values()) == pytest.approx(wall_s, rel=0.05, abs=0.01)
    assert done.stdout.lstrip().startswith("{")


def test_many_photos_are_summed(run, photo, disparity, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(photo.read_bytes())
    depth = tmp_path / f"depth{disparity.suffix}"
    depth.write_bytes(disparity.read_bytes())
    done = run(
        "cloud",
        folder,
        "--depth",
        f"{depth.parent}/{{stem}}{depth.suffix}",
        "-o",
        tmp_path / "a",
        "--profile",
    )
    assert done.exit_code == 1  # there is no such depth
    for number in range(3):
        (tmp_path / f"{number}{depth.suffix}").write_bytes(disparity.read_bytes())
    done = run(
        "cloud", folder, "--depth", f"{tmp_path}/{{stem}}{depth.suffix}", "-o", tmp_path / "b", "--profile"
    )
    assert done.exit_code == 0, done.output
    line = next(line for line in done.stderr.splitlines() if line.startswith("point cloud"))
    assert line.split()[-1] == "3"


def test_a_run_that_fails_tells_it_too(run, photo, tmp_path):
    done = run("cloud", photo, "--depth", tmp_path / "none.npz", "-o", tmp_path / "cloud.ply", "--profile")
    assert done.exit_code == 1
    table_of(done.stderr[: done.stderr.rindex("\nError")] if "\nError" in done.stderr else done.stderr)


def test_without_it_nothing_is_said(run, photo, disparity, tmp_path):
    done = run("cloud", photo, "--depth", disparity, "-o", tmp_path / "cloud.ply")
    assert "stage  " not in done.stderr
