"""Of benchmarks nothing is timed here: only that they load, take their options, and become a page."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PAGE = BENCHMARKS.parents[1] / "BENCHMARKS.md"
BENCHES = sorted(path.stem for path in BENCHMARKS.glob("bench_*.py"))


@pytest.fixture
def scripts(monkeypatch):
    """The folder of the benchmarks first on the path, its modules forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == BENCHMARKS:
            del sys.modules[name]


def sample(bench="cloud", **more):
    """A report as a benchmark prints it: a win, a loss, a peer without ratios, and a text."""
    import contract

    times = {"ours": [0.010, 0.020, 0.030], "slow": [0.2, 0.1, 0.3], "peer": [0.1, 0.1, 0.06]}
    rows = contract.compared(times, "peer")
    rows["ours"]["lost"] = "0 %"
    return contract.as_report(bench, {"A table": rows}, settings={"rounds": 3}) | more


def test_every_benchmark_loads():
    code = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import run, {', '.join(BENCHES)}"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_benchmark_is_run_and_has_a_section(scripts):
    import report
    import run

    names = {name.removeprefix("bench_") for name in BENCHES}
    assert {each.bench for each in run.RUNS} == names == set(report.SECTIONS)
    assert len({each.name for each in run.RUNS}) == len(run.RUNS)


@pytest.mark.parametrize("bench", BENCHES)
def test_every_benchmark_takes_the_options_that_it_is_run_with(bench, scripts, monkeypatch):
    import argparse
    import importlib

    import run

    class ParsedError(Exception):
        pass

    def parsed(parser, *args, **kwargs):
        real(parser, *args, **kwargs)
        raise ParsedError

    real = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    module = importlib.import_module(bench)
    for each in run.RUNS:
        for words in (each.quick, each.full) if f"bench_{each.bench}" == bench else ():
            monkeypatch.setattr(sys, "argv", [bench, *words.split()])
            with pytest.raises(ParsedError):
                module.main()


def test_turns_go_forth_and_back_and_the_warm_up_does_not_count(scripts):
    import contract

    calls = []
    times = contract.in_turns({n: lambda n=n: calls.append(n) for n in "abc"}, rounds=2, warm_up=1)
    assert "".join(calls) == "abc" + "cba" + "abc"
    assert {name: len(found) for name, found in times.items()} == {"a": 2, "b": 2, "c": 2}


def test_ratios_are_taken_round_by_round(scripts):
    import contract

    # A machine that is ten times slower in the second round changes no ratio.
    assert contract.ratio([1, 10, 2], [3, 30, 6]) == {"median": 3, "min": 3, "max": 3}
    assert contract.spread([3, 1, 2], 1e3) == {"median": 2000, "min": 1000, "max": 3000}


def test_memory_is_that_of_the_command_alone(scripts):
    """Not of the process that measures, whose peak Linux hands down."""
    import contract

    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = contract.fresh([sys.executable, "-I", "-S", "-c", "pass"]).peak_mb
    large = contract.fresh([sys.executable, "-I", "-S", "-c", "b'x' * 100_000_000"]).peak_mb
    assert small < 60
    assert 95 < large - small < 130


def test_a_command_that_fails_says_why(scripts):
    import contract

    with pytest.raises(SystemExit, match="boom"):
        contract.fresh([sys.executable, "-c", "raise SystemExit('boom')"])


def test_the_shape_of_a_report(scripts, capsys, tmp_path):
    import contract

    contract.publish("cloud", {"A table": {"row": {"ms": 1.5}}}, output=tmp_path / "x.json")
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "x.json").read_text())
    assert list(printed) == ["bench", "commit", "date", "environment", "settings", "results"]
    assert printed["results"] == {"A table": {"row": {"ms": 1.5}}}
    facts = printed["environment"]
    assert facts["numpy"].startswith(("1.", "2."))
    assert facts["cores"] >= 1
    assert platform.node() not in facts.values()


def test_the_page_has_wins_and_losses(scripts, tmp_path):
    import report

    (tmp_path / "cloud.json").write_text(json.dumps(sample(command="bench_cloud.py --rounds 3")))
    failed = sample("mesh", failed="exit 1") | {"results": {}}
    (tmp_path / "a mesh.json").write_text(json.dumps(failed))
    report.write(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    lines = page.splitlines()
    start = lines.index("| A table | ms | over peer | lost |")
    assert lines[start + 1 : start + 5] == [
        "| --- | --: | --: | --: |",
        "| ours | 20 (10 to 30) | 5 (2 to 10) | 0 % |",
        "| slow | 200 (100 to 300) | **0.5 (0.2 to 1)** | - |",
        "| peer | 100 (60 to 100) | - | - |",
    ]
    assert page.index("## Point clouds") < page.index("## Meshes") < page.index("**Failed**: exit 1")
    assert "`bench_cloud.py --rounds 3`: rounds 3, load" in page


def test_a_folder_without_results_says_what_to_do(scripts, tmp_path):
    import report

    with pytest.raises(SystemExit, match="make bench"):
        report.write(tmp_path, tmp_path / "page.md")


def test_runs_of_the_same_commit_are_kept_and_failed_ones_are_not(scripts, tmp_path):
    import run

    path = tmp_path / "cloud.json"
    assert not run.is_done(path)
    for report, done in ((sample(), True), (sample(failed="exit 1"), False), (sample(commit="other"), False)):
        path.write_text(json.dumps(report))
        assert run.is_done(path) is done


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        ('print(\'{"bench": "cloud", "results": {}}\')', None),
        ("raise SystemExit('no')", "exit 1"),
        ("print('Hello')", "its output is no JSON"),
        ("import time; time.sleep(60)", "longer than 1 s"),
    ],
)
def test_a_run_that_fails_is_a_report_too(code, failed, scripts, tmp_path, monkeypatch):
    import run

    (tmp_path / "bench_cloud.py").write_text(code)
    monkeypatch.setattr(run, "__file__", str(tmp_path / "run.py"))
    monkeypatch.setitem(run.LIMIT_S, "quick", 1 if "sleep" in code else 60)
    found = run.carried_out(run.Run("cloud-large", "--rounds 1"), "quick")
    assert (found["bench"], found.get("failed")) == ("cloud", failed)
    assert found["command"] == "bench_cloud.py --rounds 1"
    assert found["results"] == {}


def test_the_headings_of_the_page_are_those_of_the_report(scripts):
    """The page that is kept was made by this report, of these benchmarks."""
    import report

    if not PAGE.exists():
        pytest.skip("BENCHMARKS.md has not been made yet; run: make bench")
    page = PAGE.read_text()
    assert page.startswith(report.HEAD)
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    order = [heading for heading in report.SECTIONS.values() if heading in headings]
    assert headings == order
    assert all((BENCHMARKS / f"bench_{name}.py").exists() for name in re.findall(r"bench_(\w+)\.py\]", page))
    for line in page.splitlines():
        if line.startswith("| ---"):
            assert set(line) <= set("| -:")
