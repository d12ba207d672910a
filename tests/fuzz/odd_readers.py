"""Readers that do with broken files what no reader may; `VALID` is the file that they all read."""

from __future__ import annotations

import ctypes
import signal
import time

VALID = bytes(range(200))


def reads_all(path):
    path.read_bytes()


def reads_in_parallel(path):
    import torch

    torch.set_num_threads(2)
    assert torch.ones(1 << 20).exp().sum() > 1


def crashes(path):
    if path.read_bytes() != VALID:
        ctypes.string_at(0)


def hangs(path):
    while path.read_bytes() != VALID:
        time.sleep(0.01)


def hangs_deaf(path):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    hangs(path)


def raises(path):
    if path.read_bytes() != VALID:
        raise ZeroDivisionError("not one of ours")


def exits(path):
    if path.read_bytes() != VALID:
        raise SystemExit(0)


def asks_for_much(path):
    if path.read_bytes() != VALID:
        bytearray(4 << 30)
