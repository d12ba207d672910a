"""The manifest: what it trusts, and what it makes of lines that were cut short."""

import json
import os
import subprocess
import sys

import pytest

from depth3d.errors import FileError, OutputExistsError, UnreadableFileError
from depth3d.io.manifest import (
    MANIFEST_NAME,
    Manifest,
    digest_of_file,
    digest_of_options,
    is_unchanged,
    outputs_listed_in,
    record_of_outputs,
)

OPTIONS = {"command": "cloud", "stride": 2}


def record(folder, photo, *outputs):
    for output in outputs:
        output.write_bytes(b"made of " + photo.encode())
    return {
        "input": photo,
        "inputs": ["abc"],
        "output": outputs[0].name,
        "outputs": record_of_outputs({one: one for one in outputs}, folder),
        "facts": {"points": 7},
        "summary": "7 points",
        "notes": ["a note \U0001f9cd\nof two lines"],
    }


def test_what_is_appended_is_read_back(tmp_path):
    output = tmp_path / "1.ply"
    first = Manifest(tmp_path, OPTIONS)
    written = record(tmp_path, "1.jpg", output, tmp_path / "1.mtl")
    first.append(written)
    lines = (tmp_path / MANIFEST_NAME).read_text().splitlines()
    assert len(lines) == 1
    back = Manifest(tmp_path, OPTIONS, resume=True).record_of(output)
    assert {name: back[name] for name in written} == written
    assert is_unchanged(back, ["abc"], tmp_path)
    assert outputs_listed_in(tmp_path) == [output, tmp_path / "1.mtl"]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("another option", {"options": {"command": "cloud", "stride": 3}}),
        ("no resume", {"resume": False}),
    ],
)
def test_records_of_other_runs_do_not_count(tmp_path, what, change):
    output = tmp_path / "1.ply"
    Manifest(tmp_path, OPTIONS).append(record(tmp_path, "1.jpg", output))
    asked = {"options": OPTIONS, "resume": True} | change
    assert Manifest(tmp_path, asked["options"], resume=asked["resume"]).record_of(output) is None, what


def test_outputs_must_be_there_as_they_were(tmp_path):
    output, beside = tmp_path / "1.obj", tmp_path / "1.mtl"
    made = record(tmp_path, "1.jpg", output, beside)
    assert is_unchanged(made, ["abc"], tmp_path)
    assert not is_unchanged(made, ["abd"], tmp_path)  # another photo
    assert not is_unchanged(made, ["abc", "abc"], tmp_path)
    os.utime(beside, (1, 1))  # touched: what is in it decides
    assert is_unchanged(made, ["abc"], tmp_path)
    beside.write_bytes(beside.read_bytes()[::-1])
    assert not is_unchanged(made, ["abc"], tmp_path)
    beside.unlink()
    assert not is_unchanged(made, ["abc"], tmp_path)
    assert not is_unchanged({**made, "outputs": []}, ["abc"], tmp_path)


def test_a_folder_is_an_output_too(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "1.png").write_bytes(b"one")
    (frames / "2.png").write_bytes(b"two")
    made = {"inputs": [], "outputs": record_of_outputs({frames: frames}, tmp_path)}
    assert made["outputs"][0]["bytes"] == 6
    assert is_unchanged(made, [], tmp_path)
    (frames / "2.png").write_bytes(b"owt")
    os.utime(frames / "2.png", (10**10, 10**10))
    assert not is_unchanged(made, [], tmp_path)
    (frames / "2.png").rename(frames / "3.png")
    assert digest_of_file(frames) != made["outputs"][0]["blake2b"]


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_line_that_was_cut_short_counts_as_not_written(tmp_path, kept):
    outputs = [tmp_path / f"{number}.ply" for number in range(3)]
    manifest = Manifest(tmp_path, OPTIONS)
    for output in outputs[:2]:
        manifest.append(record(tmp_path, output.stem, output))
    path = tmp_path / MANIFEST_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-kept])
    again = Manifest(tmp_path, OPTIONS, resume=True)
    assert again.record_of(outputs[0])
    # Without its last character, the line break, the line is whole.
    assert (again.record_of(outputs[1]) is None) == (kept > 1)
    again.append(record(tmp_path, "2", outputs[2]))
    last = Manifest(tmp_path, OPTIONS, resume=True)
    assert last.record_of(outputs[0])
    assert last.record_of(outputs[2])


@pytest.mark.parametrize(
    "line",
    [
        "[]", "7", "{}", '{"options": 1}', '{"options": "a", "outputs": 3}', "\x00\xff",
        '{"options": "a", "plan": 3}', '{"plan": [1], "options": "a"}',
        '{"options": "a", "outputs": [{"name": "x"}], "output": "x"}',
    ],
)  # fmt: skip
def test_lines_of_other_programs_are_passed_over(tmp_path, line):
    output = tmp_path / "1.ply"
    manifest = Manifest(tmp_path, OPTIONS)
    manifest.append(record(tmp_path, "1.jpg", output))
    path = tmp_path / MANIFEST_NAME
    path.write_bytes(f"{line}\n".encode("latin-1") + path.read_bytes())
    assert Manifest(tmp_path, OPTIONS, resume=True).record_of(output)
    assert outputs_listed_in(tmp_path) == [output]


def test_two_processes_may_append_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from depth3d.io.manifest import Manifest\n"
        "manifest = Manifest(Path(sys.argv[1]), {'who': sys.argv[2]})\n"
        "for number in range(200):\n"
        "    manifest.append({'outputs': [], 'output': f'{sys.argv[2]}{number}', 'text': 999 * 'x'})\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who]) for who in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    # An empty line is left where one process saw the line of another half written.
    lines = [line for line in (tmp_path / MANIFEST_NAME).read_text().splitlines() if line]
    names = [json.loads(line)["output"] for line in lines]
    assert sorted(names) == sorted(f"{who}{number}" for who in "abc" for number in range(200))


def test_only_files_of_a_run_with_the_same_options_are_replaced(tmp_path):
    output, other = tmp_path / "1.ply", tmp_path / "2.ply"
    first = Manifest(tmp_path, OPTIONS)
    first.check([output])
    first.plan([output])
    output.write_bytes(b"written, and killed before it was said")
    Manifest(tmp_path, OPTIONS, resume=True).check([output, other])
    other.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match=r"2\.ply already exists and no earlier run wrote it here"):
        Manifest(tmp_path, OPTIONS, resume=True).check([output, other])
    with pytest.raises(OutputExistsError, match=r"already exists; use --overwrite .* or --resume"):
        Manifest(tmp_path, OPTIONS).check([output])
    changed = Manifest(tmp_path, {**OPTIONS, "stride": 4}, resume=True)
    with pytest.raises(OutputExistsError, match=r"1\.ply was made with another stride \(2, and now 4\)"):
        changed.check([output])


def test_options_count_and_not_their_order():
    one = {"a": 1, "b": (2, 3)}
    assert digest_of_options(one) == digest_of_options({"b": [2, 3], "a": 1})
    assert digest_of_options(one) != digest_of_options({"a": 1, "b": (3, 2)})
    assert digest_of_options(one) != digest_of_options({"a": "1", "b": (2, 3)})


def test_another_version_is_another_option(tmp_path, monkeypatch):
    output = tmp_path / "1.ply"
    Manifest(tmp_path, OPTIONS).append(record(tmp_path, "1.jpg", output))
    monkeypatch.setattr("depth3d.io.manifest.__version__", "99")
    assert Manifest(tmp_path, OPTIONS, resume=True).record_of(output) is None


def test_a_manifest_of_nothing_goes_away_but_never_that_of_others(tmp_path):
    manifest = Manifest(tmp_path, OPTIONS)
    manifest.plan([tmp_path / "1.ply"])
    assert (tmp_path / MANIFEST_NAME).exists()
    manifest.close()
    assert not (tmp_path / MANIFEST_NAME).exists()
    one, other = Manifest(tmp_path, OPTIONS), Manifest(tmp_path, {"who": "other"})
    one.plan([tmp_path / "1.ply"])
    other.plan([tmp_path / "2.ply"])
    one.close()
    assert outputs_listed_in(tmp_path) == [tmp_path / "1.ply", tmp_path / "2.ply"]


def test_errors_are_sentences(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"missing\.jpg does not exist; check the path"):
        digest_of_file(tmp_path / "missing.jpg")
    (tmp_path / MANIFEST_NAME).mkdir()
    with pytest.raises(UnreadableFileError, match="Is a directory; check it"):
        Manifest(tmp_path, OPTIONS)
    with pytest.raises(FileError, match=r"can't write .*choose another folder"):
        Manifest(tmp_path / "not there", OPTIONS).append({"outputs": [], "output": "x"})
