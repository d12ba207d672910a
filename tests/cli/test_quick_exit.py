"""The process ends early, and nothing that should happen at its end is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

START = "import sys, atexit, tempfile, threading, time, depth3d_cli.main as m\n"


def ended(code, words, *flags):
    code = f"{START}{code}\nsys.argv[1:] = {words!r}\nm.main()\nprint('not reached')"
    return subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True)


def test_what_is_registered_for_the_end_runs_once_and_is_printed():
    done = ended("atexit.register(print, 'goodbye')", ["--version"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == ["goodbye"]


def test_objects_are_left_as_they_are():
    code = "class Late:\n    def __del__(self): print('taken apart')\nlate = Late()"
    assert "taken apart" not in ended(code, ["--version"]).stdout


def test_temporary_folders_go(tmp_path):
    done = ended(f"held = tempfile.TemporaryDirectory(dir={str(tmp_path)!r})", ["--version"])
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_thread_that_works_is_waited_for():
    code = "threading.Thread(target=lambda: (time.sleep(0.3), print('done'))).start()"
    assert ended(code, ["--version"]).stdout.splitlines()[-1] == "done"


def test_exit_codes_stay():
    assert ended("", ["--nonsense"]).returncode == 2
    done = ended("", ["inspect", "no such file"])
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no such file does not exist")


def test_a_profiler_gets_to_print():
    words = [sys.executable, "-m", "cProfile", "-m", "depth3d_cli", "--version"]
    assert "function calls" in subprocess.run(words, capture_output=True, text=True).stdout


def test_an_output_that_is_full_is_told():
    if not Path("/dev/full").exists():
        pytest.skip("no full device here")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "depth3d_cli", "models"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "can't print the result" in done.stderr
