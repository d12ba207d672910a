"""Passes that are recorded and repeated: against stand-ins for CUDA's graphs, and on a GPU where one is."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.estimate.alignment import aligned_error
from depth3d.estimate.backends import cuda_graphs
from depth3d.estimate.backends.cuda_graphs import CapturedNetwork
from depth3d.estimate.depth_anything import DepthAnythingOutput
from depth3d.estimate.estimator import DepthEstimator

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]


class Network(torch.nn.Module):
    """Any network; a recording notes what it was given and what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([2.0]))
        self.config = "settings"
        self.passes = 0
        self.recording: Any = None

    def forward(self, pixel_values: torch.Tensor) -> DepthAnythingOutput:
        self.passes += 1
        depth = self.weight * pixel_values.sum(1)
        if self.recording is not None:
            self.recording.given, self.recording.gave = pixel_values, depth
            depth.fill_(torch.nan)  # what is recorded is not run
        return DepthAnythingOutput(depth)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second pass of a size is worth recording."""
    monkeypatch.setattr(cuda_graphs, "_PASSES_BEFORE", 1)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, network: Network) -> SimpleNamespace:
    """CUDA as far as a recording needs it; it notes what it was told."""
    told = SimpleNamespace(replays=0, recordings=0, waits=0, current="first", fails=None, factor=1.0)

    class Graph:
        def replay(self) -> None:
            told.replays += 1
            self.gave.copy_(told.factor * network.weight * self.given.sum(1))  # type: ignore[has-type]

    class Stream:
        def wait_stream(self, other: Any) -> None: ...
        def wait_event(self, event: Any) -> None:
            told.waits += 1

    @contextmanager
    def graph(made: Graph, *, pool: str, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        assert (pool, capture_error_mode) == ("pool", "thread_local")
        assert told.current is stream
        told.recordings += 1
        if told.fails:
            raise told.fails
        network.recording = made
        yield
        network.recording = None

    @contextmanager
    def chosen(stream: Stream) -> Iterator[None]:
        before, told.current = told.current, stream
        try:
            yield
        finally:
            told.current = before

    stand_ins = {
        "Stream": lambda device: Stream(),
        "Event": lambda: SimpleNamespace(record=lambda stream: None),
        "CUDAGraph": Graph,
        "graph": graph,
        "graph_pool_handle": lambda: "pool",
        "stream": chosen,
        "device": lambda device: nullcontext(),
        "current_stream": lambda device: Stream(),
        "synchronize": lambda device: None,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return told


@pytest.fixture
def captured(told: SimpleNamespace, network: Network) -> Iterator[CapturedNetwork]:
    with torch.inference_mode():
        yield CapturedNetwork(network)


def pixels(*size: int, seed: int = 0) -> torch.Tensor:
    made = torch.rand(*size, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last)


def test_the_first_pass_of_a_size_is_plain_and_the_second_is_recorded(
    captured: CapturedNetwork, network: Network, told: SimpleNamespace
) -> None:
    results = []
    for seed in range(5):
        given = pixels(2, 3, 14, 28, seed=seed)
        results.append((captured(pixel_values=given).predicted_depth, 2 * given.sum(1)))
    for got, want in results:  # none is overwritten by those after it
        torch.testing.assert_close(got, want, rtol=0, atol=0)
    assert told.recordings == 1
    assert network.passes == 1 + cuda_graphs._WARM_UP + 1
    assert told.replays == 1 + 4  # one to see whether it gives the same
    assert told.waits == 4
    assert told.current == "first"


def test_a_size_has_to_come_back_often(
    captured: CapturedNetwork, told: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graphs, "_PASSES_BEFORE", 5)
    recordings = []
    for _ in range(7):
        captured(pixel_values=pixels(1, 3, 14, 14))
        captured(pixel_values=pixels(1, 3, 14, 28))
        recordings.append(told.recordings)
    assert recordings == [0, 0, 0, 0, 0, 2, 2]


def test_each_size_has_its_graph(captured: CapturedNetwork, told: SimpleNamespace) -> None:
    for seed in range(4):
        for size in ((1, 3, 14, 14), (2, 3, 14, 14), (1, 3, 14, 28)):
            given = pixels(*size, seed=seed)
            assert torch.equal(captured(pixel_values=given).predicted_depth, 2 * given.sum(1))
    assert told.recordings == 3


def test_their_number_is_bounded_and_the_first_stay(
    captured: CapturedNetwork, told: SimpleNamespace, network: Network
) -> None:
    most = cuda_graphs._MOST_GRAPHS
    for _ in range(3):
        for width in range(1, most + 4):
            given = pixels(1, 3, 2, width)
            assert torch.equal(captured(pixel_values=given).predicted_depth, 2 * given.sum(1))
    assert told.recordings == most
    before = network.passes
    captured(pixel_values=pixels(1, 3, 2, 1))
    assert network.passes == before


def test_large_batches_run_kernel_by_kernel(
    captured: CapturedNetwork, told: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graphs, "_LARGEST_PX", 2 * 14 * 14)
    for size in ((2, 3, 14, 14), (3, 3, 14, 14)):
        for _ in range(3):
            captured(pixel_values=pixels(*size))
    assert told.recordings == 1


@pytest.mark.parametrize(
    "error",
    [RuntimeError("operation not permitted when stream is capturing"), torch.OutOfMemoryError("CUDA out of")],
)
def test_what_can_not_be_recorded_runs_all_the_same(
    captured: CapturedNetwork, told: SimpleNamespace, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    told.fails = error
    with caplog.at_level(logging.INFO, logger="depth3d"):
        for seed in range(4):
            given = pixels(1, 3, 14, 14, seed=seed)
            assert torch.equal(captured(pixel_values=given).predicted_depth, 2 * given.sum(1))
    assert told.recordings == 1  # and is not tried again
    assert told.current == "first"
    assert [f"({error})" in message for message in caplog.messages] == [True]


@pytest.mark.parametrize("factor", [1.1, float("nan")])
def test_a_graph_that_gives_another_map_is_not_used(
    captured: CapturedNetwork, told: SimpleNamespace, factor: float
) -> None:
    told.factor = factor
    for seed in range(3):
        given = pixels(1, 3, 14, 14, seed=seed)
        assert torch.equal(captured(pixel_values=given).predicted_depth, 2 * given.sum(1))
    assert told.replays == 1


def test_it_is_the_network_to_those_who_ask(captured: CapturedNetwork, network: Network) -> None:
    captured.to(torch.float16)
    assert captured.config == "settings"
    assert next(captured.parameters()).dtype is torch.float16
    for _ in range(2):
        captured(pixel_values=pixels(1, 3, 14, 14).half())
    assert captured._graphs
    assert captured.float() is network
    assert network.weight.dtype is torch.float32
    assert not captured._graphs


def test_position_embeddings_are_made_anew_in_a_recording(
    tiny_network: Callable[..., Any], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept may be forgotten while a graph still reads it."""
    from depth3d.estimate.checkpoints import load_checkpoint

    network: Any = load_checkpoint(tiny_folder).network
    with torch.inference_mode():
        kept = network._positions_for(5, 6)
        assert network._positions_for(5, 6) is kept
        monkeypatch.setattr(torch.Tensor, "is_cuda", True)
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
        anew = network._positions_for(5, 6)
        assert anew is not kept
        assert torch.equal(anew, kept)


# -- on a GPU -----------------------------------------------------------------------------------

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@contextmanager
def no_waits() -> Iterator[None]:
    """Raise where the processor waits for the GPU, but for events."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _all_equal(results: list[Any], expected: list[Any], *, within: float) -> None:
    for got, want in zip(results, expected, strict=True):
        assert got.values.shape == want.values.shape
        assert np.abs(got.values - want.values).max() <= within * np.ptp(want.values) > 0


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_graphs_give_the_plain_maps(
    load: Load, tiny_folder: Path, photo: Photo, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [photo(90, 120, seed=i) for i in range(6)] + [photo(60, 60, seed=i) for i in range(4)]
    estimator = load(tiny_folder, device="cuda", dtype=dtype, batch_size=2)
    first, second, third = estimator(images), estimator(images), estimator(images)
    assert isinstance(estimator._network._network, CapturedNetwork)
    assert len(estimator._network._network._graphs) == 2
    monkeypatch.setenv("DEPTH3D_CUDA_GRAPHS", "0")
    plain = load(tiny_folder, device="cuda", dtype=dtype, batch_size=2)
    assert not isinstance(plain._network._network, CapturedNetwork)
    expected = plain(images)
    for results in (first, second, third):
        _all_equal(results, expected, within=1e-3 if dtype == "float32" else 1e-2)


@pytest.mark.gpu
@needs_cuda
def test_nothing_waits_within_a_batch(load: Load, tiny_folder: Path, photo: Photo) -> None:
    images = [photo(90, 120, seed=i) for i in range(8)]
    estimator = load(tiny_folder, device="cuda", dtype="float16", batch_size=4)
    expected = [estimator(images) for _ in range(3)][-1]  # kernels are loaded, graphs recorded
    with no_waits():
        results = estimator(images)
    _all_equal(results, expected, within=1e-3)
    with pytest.raises(RuntimeError, match="synchroniz"), no_waits():
        torch.zeros(1, device="cuda").item()


@pytest.mark.gpu
@needs_cuda
def test_streams_and_threads_on_a_gpu_give_each_its_own_map(
    load: Load, tiny_folder: Path, photo: Photo
) -> None:
    images = [photo(90, 120, seed=i) for i in range(30)]
    estimator = load(tiny_folder, device="cuda", dtype="float32", batch_size=3)
    expected = load(tiny_folder)(images)
    _all_equal([*estimator.stream(iter(images))], expected, within=1e-2)
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            found[number] = [estimator(image) for image in images[number::3]]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        _all_equal(found[number], expected[number::3], within=1e-2)


@pytest.mark.gpu
@needs_cuda
def test_an_overflow_on_a_gpu_is_found_when_the_map_is_there(
    load: Load, tiny_folder: Path, photo: Photo, caplog: pytest.LogCaptureFixture
) -> None:
    images = [photo(60, 80, seed=i) for i in range(3)]
    estimator = load(tiny_folder, device="cuda", dtype="float16")
    for _ in range(3):
        estimator(images)
    estimator._network._network.network.head.max_depth = 60_000.0  # beyond half precision's 65,504
    estimator._network._network._graphs.clear()
    maps = estimator(images)
    assert "overflowed" in caplog.text
    assert estimator.dtype is torch.float32
    assert all(depth.valid.all() and depth.values.max() > 65_504 for depth in maps)


@pytest.mark.gpu
@needs_cuda
def test_the_gpu_resizes_as_the_processor_does(tiny_folder: Path, load: Load, photo: Photo) -> None:
    image = photo(1000, 1400)
    on_gpu, on_cpu = (load(tiny_folder, device=d)(image, output="torch")[0].cpu() for d in ("cuda", "cpu"))
    assert aligned_error(on_gpu, on_cpu) < 1e-2
