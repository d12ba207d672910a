"""Stages: each second counted once, over all threads; nothing paid while nobody asks."""

import builtins
import gc
import inspect
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import depth3d
from depth3d.core import stages
from depth3d.core.stages import WAITING, peak_memory_bytes, profiled, stage, staged, waited_for


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told to."""

    class Clock:
        now_s = 100.0

        def perf_counter(self):
            return self.now_s

        def go(self, seconds):
            self.now_s += seconds

    clock = Clock()
    monkeypatch.setattr(stages, "time", clock)
    return clock


def test_stages_within_stages_are_counted_once(clock):
    with profiled() as profile:
        clock.go(1)
        with stage("reading"):
            clock.go(2)
            with stage("network"):
                clock.go(4)
                with stage("reading"):
                    clock.go(8)
            clock.go(16)
        clock.go(32)
    clock.go(64)
    assert profile.seconds == {"reading": 26, "network": 4}
    assert profile.counts == {"reading": 2, "network": 1}
    assert profile.rest_s == 33
    assert profile.wall_s == 63


def test_a_stage_in_itself_counts_once(clock):
    with profiled() as profile, stage("reading"), stage("reading"):
        clock.go(3)
    assert (profile.seconds, profile.counts, profile.rest_s) == ({"reading": 3}, {"reading": 1}, 0)


def test_waiting_is_nobodys_time(clock):
    with profiled() as profile, stage("cloud"):
        clock.go(1)
        with stage(WAITING):
            clock.go(2)
            with stage("network"):  # while it waits, it does something after all
                clock.go(4)
            clock.go(8)
        clock.go(16)
    assert profile.seconds == {"cloud": 17, "network": 4}
    assert profile.rest_s == 10


def test_threads_add_up_and_the_rest_is_when_none_works(clock):
    def in_thread(work):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    reading = stage("reading")
    with profiled() as profile:
        clock.go(1)
        with stage("network"):
            clock.go(2)
            in_thread(reading.__enter__)  # goes on until the end: its thread never leaves it
            clock.go(4)
        clock.go(8)
        assert profile.rest_s == 1
        assert profile.wall_s == 15
        with stage("writing"):
            clock.go(16)
    assert profile.seconds == {"reading": 0, "network": 6, "writing": 16}
    assert profile.rest_s == 1


def test_real_threads_lose_nothing():
    def work():
        for _ in range(200):
            with stage("outer"), stage("inner"):
                pass

    with profiled() as profile:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert profile.counts == {"outer": 1600, "inner": 1600}
    assert profile.rest_s <= profile.wall_s
    assert sum(profile.seconds.values()) <= 8 * profile.wall_s


def test_stages_sum_to_the_wall_time_of_real_work():
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    with profiled() as profile:
        with stage("reading"):
            a = rng.standard_normal((300, 300))
        for _ in range(20):
            with stage("network"):
                a = np.tanh(a @ a / 300)
                with stage("upsampling"):
                    np.repeat(a, 4)
    wall_s = time.perf_counter() - start
    total_s = sum(profile.seconds.values()) + profile.rest_s
    assert total_s == pytest.approx(profile.wall_s, rel=1e-6)
    assert profile.wall_s <= wall_s
    assert profile.rest_s < 0.5 * wall_s


def test_off_it_costs_about_nothing_and_keeps_nothing():
    def seconds():
        start = time.perf_counter()
        for _ in range(1000):
            with stage("reading"):
                pass
        return time.perf_counter() - start

    assert min(seconds() for _ in range(20)) / 1000 < 5e-6
    with profiled() as profile:
        pass
    with stage("reading"):
        pass
    assert profile.seconds == {}


def test_what_began_before_or_ends_after_does_no_harm(clock):
    early, late = stage("early"), stage("late")
    early.__enter__()
    with profiled() as profile:
        clock.go(1)
        early.__exit__(None, None, None)
        late.__enter__()
        clock.go(2)
    late.__exit__(None, None, None)
    assert profile.rest_s == 1
    assert profile.wall_s == 3


def test_one_within_another_both_measure(clock):
    with profiled() as outer:
        with stage("a"):
            clock.go(1)
        with profiled() as inner, stage("b"):
            clock.go(2)
    assert (outer.seconds, inner.seconds) == ({"a": 1, "b": 2}, {"b": 2})


def test_imports_are_a_stage_and_the_hook_goes_again(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import_3d.py").write_text("import time; time.sleep(0.02)")
    monkeypatch.syspath_prepend(tmp_path)
    before = builtins.__import__
    with profiled() as profile:
        import slow_to_import_3d  # noqa: F401
        import slow_to_import_3d as again  # noqa: F401
    assert builtins.__import__ is before
    assert profile.counts == {"imports": 1}
    assert profile.seconds["imports"] >= 0.02
    del sys.modules["slow_to_import_3d"]


def test_staged_times_the_items_closes_their_source_and_holds_none(clock):
    closed = []

    class Item:
        pass

    def source():
        try:
            for _ in range(3):
                clock.go(1)
                yield Item()
        finally:
            closed.append(True)

    with profiled() as profile:
        items = staged("frames", source())
        first = weakref.ref(next(items))
        clock.go(10)
        next(items)
        gc.collect()
        assert first() is None
        items.close()
    assert closed == [True]
    assert profile.seconds == {"frames": 2}
    assert list(staged("frames", "abc")) == ["a", "b", "c"]


def test_waiting_for_a_lock_ends_when_it_is_held(clock):
    lock = threading.Lock()
    with profiled() as profile, stage("network"), waited_for(lock):
        assert lock.locked()
        clock.go(1)
    assert not lock.locked()
    assert profile.seconds == {"network": 1}


def test_errors_pass_through_and_end_their_stages(clock):
    def failing():
        with stage("reading"):
            clock.go(1)
            raise KeyError("x")

    with profiled() as profile:
        with pytest.raises(KeyError):
            failing()
        clock.go(2)
    assert (profile.seconds, profile.rest_s) == ({"reading": 1}, 2)


def test_a_function_keeps_its_face():
    @stage("mesh")
    def made(scene, *, faces: int = 3):
        """Make it."""
        return scene + faces

    assert (made(1), made.__name__, made.__doc__) == (4, "made", "Make it.")
    assert list(inspect.signature(made).parameters) == ["scene", "faces"]


def test_the_table_has_every_stage_its_share_and_the_memory(clock):
    with profiled() as profile:
        profile.add("start-up", 0)
        for name, seconds in (("writing", 1), ("bokeh", 2), ("network", 5), ("reading", 1)):
            with stage(name):
                clock.go(seconds)
        clock.go(1)
    lines = str(profile).splitlines()
    rows = [line.rsplit(maxsplit=4) for line in lines[1:-2]]
    assert [row[0] for row in rows] == ["start-up", "reading", "network", "bokeh", "writing"]
    assert [row[1:] for row in rows][2] == ["5.000", "50", "%", "1"]
    assert lines[-2].split() == ["rest", "1.000", "10", "%"]
    assert lines[-1].startswith("10.000 s in all, at most ")
    assert profile.facts["stages"]["bokeh"] == {"seconds": 2, "count": 1}
    assert repr(profile) == "Profile(10.000 s, 5 stages)"


def test_memory_is_at_least_what_is_held_now():
    held = np.ones(8 << 20)
    peak = peak_memory_bytes()
    if peak is None:
        pytest.skip("this system does not tell")
    assert peak > held.nbytes


def test_public_name():
    with depth3d.profiled() as profile:
        depth3d.point_cloud(
            depth3d.RGBD(
                np.zeros((8, 8, 3), np.uint8),
                depth3d.DepthMap(np.ones((8, 8)), "metric"),
                depth3d.Camera(fx=8, fy=8, cx=4, cy=4, width=8, height=8),
            )
        )
    assert profile.counts["point cloud"] == 1
