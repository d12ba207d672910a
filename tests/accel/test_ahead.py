import threading
import time

import pytest

from depth3d.accel.ahead import ahead, mapped_ahead
from depth3d.errors import InputError


def running(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_items_come_in_order_and_the_thread_ends():
    assert list(ahead(range(1000), 3)) == list(range(1000))
    assert list(ahead([])) == []
    assert not running("depth3d-ahead")


def test_never_more_than_count_wait():
    taken = []

    def source():
        for number in range(50):
            taken.append(number)
            yield number

    stream = ahead(source(), 3)
    assert not taken  # nothing starts before somebody asks
    assert next(stream) == 0
    deadline = time.monotonic() + 5
    while len(taken) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(taken) == 5  # the one given, three that wait, one that wants to
    stream.close()
    assert len(taken) == 5
    assert not running("depth3d-ahead")


def test_two_stages_overlap():
    barrier = threading.Barrier(2, timeout=5)

    def source():
        yield 0
        barrier.wait()  # passes only while the consumer works on the item before
        yield 1

    got = []
    for item in ahead(source(), 1):
        if item == 0:
            barrier.wait()
        got.append(item)
    assert got == [0, 1]


def test_an_error_comes_after_the_items_before_it():
    def source():
        yield 1
        yield 2
        raise ZeroDivisionError("at 3")

    stream = ahead(source())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(ZeroDivisionError, match="at 3"):
        next(stream)
    assert not running("depth3d-ahead")


def test_closing_closes_the_source_in_its_own_thread():
    closed_in = []

    def source():
        try:
            yield from range(100)
        finally:
            closed_in.append(threading.current_thread().name)

    stream = ahead(source(), 1)
    next(stream)
    stream.close()
    assert closed_in == ["depth3d-ahead"]


def test_a_chain_is_closed_as_a_whole():
    closed = []

    def stage(items, name):
        try:
            yield from items
        finally:
            closed.append(name)

    stream = ahead(stage(ahead(stage(iter(range(100)), "first")), "second"))
    assert next(stream) == 0
    stream.close()
    assert sorted(closed) == ["first", "second"]
    assert not running("depth3d-ahead")


def test_mapped_in_order_and_at_once():
    barrier = threading.Barrier(3, timeout=5)

    def work(number):
        if number < 3:
            barrier.wait()
        return number * number

    assert list(mapped_ahead(work, range(20), threads=3)) == [n * n for n in range(20)]
    assert not running("depth3d-map")


def test_mapped_takes_a_bounded_number():
    taken = []

    def source():
        for number in range(50):
            taken.append(number)
            yield number

    stream = mapped_ahead(lambda number: number, source(), threads=2, count=4)
    assert next(stream) == 0
    assert taken == [0, 1, 2, 3]
    stream.close()


def test_mapped_raises_at_the_place_of_the_item():
    stream = mapped_ahead(lambda number: 6 // (2 - number), range(5), threads=2)
    assert [next(stream), next(stream)] == [3, 6]
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_mapped_gives_what_came_before_its_source_failed():
    def source():
        yield from range(3)
        raise OSError("a damaged end")

    stream = mapped_ahead(lambda number: 10 * number, source(), threads=2, count=4)
    assert [next(stream) for _ in range(3)] == [0, 10, 20]
    with pytest.raises(OSError, match="a damaged end"):
        next(stream)


def test_impossible_counts_are_refused_at_once():
    with pytest.raises(InputError, match="count"):
        ahead([1], 0)
    with pytest.raises(InputError, match="threads"):
        mapped_ahead(str, [1], threads=0)
