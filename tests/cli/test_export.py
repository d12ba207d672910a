"""`depth3d export`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner
from depth3d_cli.main import cli


def test_a_file_and_its_facts(tiny_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "photo.pt"
    words = ["export", "--model", str(tiny_folder), "-o", str(path), "--size", "98x70", "--json"]
    done = CliRunner().invoke(cli, [*words, "--with-preprocessing", "--at-input-size", "--profile"])
    assert done.exit_code == 0, done.output
    assert re.search(r"^loading the network .*^comparing .*^writing ", done.stderr, re.DOTALL | re.MULTILINE)
    said = json.loads(done.stdout)
    assert said["output"] == str(path)
    assert said["files"] == [str(path)]
    assert (said["format"], said["size_wh"], said["kind"]) == ("torchscript", "98x70", "relative")
    assert 0 <= said["deviation"] <= 1e-4
    again = CliRunner().invoke(cli, words)
    assert again.exit_code == 1
    assert "--overwrite" in again.output


def test_an_error_is_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["export", "--model", str(tiny_folder), "-o", str(tmp_path / "a.pt"), "--size", "100"]
    )
    assert done.exit_code == 1
    assert done.stderr.strip().endswith("sees multiples of 14 pixels, got 100x100; use 98x98")
    assert not list(tmp_path.iterdir())
