"""Encoders leave the process as it was: its scheduling, and what goes to stderr."""

import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from depth3d.io.encoder_manners import own_scheduling
from depth3d.io.video import save_video

THREADS = Path("/proc/self/task")
linux = pytest.mark.skipif(not THREADS.is_dir(), reason="threads are listed on Linux only")


def policies():
    return {os.sched_getscheduler(int(path.name)) for path in THREADS.iterdir()}


@linux
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "h264"), ("a.mp4", "hevc"), ("a.webm", "vp9"), ("a.webm", "av1")]
)
def test_no_encoder_turns_threads_to_real_time(name, codec, tmp_path):
    # Only root, or who may set priorities, sees SVT-AV1 do it.
    if codec == "av1" and "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV has no AV1 encoder")
    before, amid = policies(), set()

    def frames():
        for number in range(12):
            amid.update(policies())  # the encoder is there from the second on
            yield np.full((64, 64, 3), 20 * number, np.uint8)

    save_video(frames(), tmp_path / name, fps=10, codec=codec)
    assert amid == policies() == before


@linux
def test_scheduling_is_what_it_was_also_for_threads_started_inside():
    usual = os.sched_getscheduler(0)
    may_end = threading.Event()
    try:
        with own_scheduling():
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            inside = threading.Thread(target=may_end.wait)  # inherits it
            inside.start()
            assert os.sched_getscheduler(inside.native_id) == os.SCHED_BATCH != usual
        assert os.sched_getscheduler(0) == os.sched_getscheduler(inside.native_id) == usual
    finally:
        may_end.set()
        inside.join()
        os.sched_setscheduler(0, usual, os.sched_param(0))
