"""What the fuzzer says of readers that do what they may not; each would be a defect of a reader."""

import pytest

VALID = bytes(range(200))
"""As in `odd_readers.py`, which can't be imported from here."""
pytestmark = pytest.mark.fuzz


@pytest.fixture
def complaint_about(fork_server, tmp_path):
    def complaint(reader, *, spoiled=True, **limits):
        path = tmp_path / "file"
        path.write_bytes(VALID)
        limits = {"examples": 5, "seed": 1, "inside": False, "deadline_s": 20, "limit_s": 60} | limits
        said = fork_server.complaint(reader=f"odd_readers.{reader}", path=str(path), **limits)
        assert bool(said) == spoiled, said
        assert path.read_bytes() != VALID  # the file to keep is the one that was read last
        return said

    return complaint


def test_nothing_runs_beside_the_server(fork_server):
    assert fork_server.threads == 1


def test_a_crash_is_named_and_placed(complaint_about):
    said = complaint_about("crashes")
    assert said.startswith("the process ended by SIGSEGV")
    assert "odd_readers.py" in said
    assert "in crashes" in said


def test_a_hang_is_ended_and_placed(complaint_about):
    said = complaint_about("hangs", deadline_s=1)
    assert said.startswith("the process ended by SIGALRM")
    assert "in hangs" in said


def test_a_hang_that_no_alarm_ends_is_killed_and_placed(complaint_about):
    said = complaint_about("hangs_deaf", deadline_s=1, limit_s=4)
    assert said.startswith("the process was killed: it took more than 4 s")
    assert "in hangs" in said


@pytest.mark.parametrize(
    ("reader", "error"),
    [
        ("raises", "ZeroDivisionError: not one of ours"),
        ("exits", "SystemExit: 0"),
        ("asks_for_much", "MemoryError"),
    ],
)
def test_other_errors_are_shown(complaint_about, reader, error):
    assert error in complaint_about(reader)


@pytest.mark.parametrize("reader", ["reads_all", "reads_in_parallel"])
def test_good_readers_pass_after_threads_were_used_here(complaint_about, reader):
    import torch

    torch.ones(1 << 20).exp().sum()  # the pool of OpenMP that a fork of this process would lack
    assert complaint_about(reader, spoiled=False) == ""
