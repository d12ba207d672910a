"""`DepthEstimator` on lists and streams of images, and memory that runs out."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import DeviceError, InputError
from depth3d.estimate import full_size
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.network import DepthNetwork

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_mixed_sizes_come_back_in_order(load: Load, tiny_folder: Path, photo: Photo, batch_size: int) -> None:
    sizes = [(90, 120), (50, 200), (45, 60), (200, 50), (90, 120), (30, 30)]
    images = [photo(*size, seed=i) for i, size in enumerate(sizes)]
    estimator = load(tiny_folder, batch_size=batch_size)
    maps = estimator(images)
    assert [(m.height, m.width) for m in maps] == sizes
    for image, depth in zip(images, maps, strict=True):
        np.testing.assert_allclose(depth.values, estimator(image).values, rtol=1e-4, atol=1e-5)


def test_batches_hold_one_network_size_and_no_more_than_asked(
    load: Load, tiny_folder: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[tuple[int, int]]] = []
    original = DepthNetwork.run

    def spy(self: DepthNetwork, batch: Any) -> Any:
        seen.append([item.size_hw for item in batch])
        return original(self, batch)

    monkeypatch.setattr(DepthNetwork, "run", spy)
    # 90x120 and 45x60 are seen at the same size.
    load(tiny_folder, batch_size=2)([photo(90, 120), photo(50, 50), photo(45, 60), photo(90, 120)])
    assert seen == [[(70, 98), (70, 98)], [(70, 98)], [(70, 70)]]


def test_an_empty_list_is_an_empty_list(estimator: DepthEstimator) -> None:
    assert estimator([]) == []
    assert estimator.predict([]) == []


def test_a_stack_of_frames_is_a_list(estimator: DepthEstimator, photo: Photo) -> None:
    maps = estimator(np.stack([photo(30, 40), photo(30, 40, seed=1)]))
    assert [m.size_wh for m in maps] == [(40, 30), (40, 30)]


def test_torch_output(estimator: DepthEstimator, photo: Photo) -> None:
    images = [photo(90, 120), photo(50, 80)]
    tensors = estimator(images, output="torch")
    assert [tuple(t.shape) for t in tensors] == [(90, 120), (50, 80)]
    assert all(t.dtype == torch.float32 and t.device == estimator.device for t in tensors)
    for tensor, depth in zip(tensors, estimator(images), strict=True):
        np.testing.assert_array_equal(tensor.numpy(), depth.values)
    (tensor,) = estimator(images[0], output="torch")
    tensor -= tensor.mean()  # an ordinary tensor: it can be changed in place, and trained on
    weight = torch.ones((), requires_grad=True)
    (weight * tensor).square().sum().backward()
    assert weight.grad > 0


def test_memory_that_runs_out_halves_the_batch(
    load: Load,
    tiny_folder: Path,
    photo: Photo,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    images = [photo(60, 80, seed=i) for i in range(5)]
    expected = load(tiny_folder)(images)
    original = DepthNetwork._forward

    def crowded(self: DepthNetwork, pixels: torch.Tensor, prompts: Any) -> Any:
        if len(pixels) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, pixels, prompts)

    monkeypatch.setattr(DepthNetwork, "_forward", crowded)
    estimator = load(tiny_folder, batch_size=4)
    with caplog.at_level(logging.WARNING, logger="depth3d"):
        maps = estimator(images)
    assert caplog.messages == [
        "out of memory with a batch of 4; going on with 2",
        "out of memory with a batch of 2; going on with 1",
    ]
    for got, want in zip(maps, expected, strict=True):
        np.testing.assert_array_equal(got.values, want.values)


def test_a_network_that_does_not_fit_says_so(
    load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crowded(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch.nn.Module, "to", crowded)
    with pytest.raises(DeviceError, match=r"does not fit into the memory of cpu.*smaller model"):
        load(tiny_folder)


def test_streams_look_ahead_by_one_batch_at_most(load: Load, tiny_folder: Path, photo: Photo) -> None:
    taken: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for i in range(7):
            taken.append(i)
            yield photo(30, 40, seed=i)

    estimator = load(tiny_folder, batch_size=3)
    stream = estimator.stream(frames())
    assert taken == []
    ahead = []
    maps = []
    for done, depth in enumerate(stream):
        ahead.append(len(taken) - done)
        maps.append(depth)
    assert len(maps) == 7
    assert max(ahead) == 3
    for i, depth in enumerate(maps):
        want = estimator(photo(30, 40, seed=i)).values
        np.testing.assert_allclose(depth.values, want, rtol=1e-4, atol=1e-5)


def test_streams_may_have_two_batches_under_way(load: Load, tiny_folder: Path, photo: Photo) -> None:
    """As on CUDA: the same maps in order, errors at their place, and no more than two batches taken."""
    taken: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for i in range(13):
            taken.append(i)
            yield photo(30, 40, seed=i)
        yield np.zeros((3, 4))

    estimator = load(tiny_folder, batch_size=3)
    assert estimator.batches_under_way == 1
    estimator.batches_under_way = 2
    maps = []
    with pytest.raises(InputError, match="uint8"):  # noqa: PT012
        for depth in estimator.stream(frames()):
            maps.append(depth)
            assert len(taken) <= 6 + 3 * ((len(maps) - 1) // 3)
    assert len(maps) == 12  # all batches before that of the bad one
    for i, depth in enumerate(maps):
        want = estimator(photo(30, 40, seed=i)).values
        np.testing.assert_allclose(depth.values, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("batch_size", "under_way"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_a_camera_may_fill_one_buffer_again_and_again(
    load: Load, tiny_folder: Path, photo: Photo, batch_size: int, under_way: int
) -> None:
    buffer = np.empty((30, 40, 3), np.uint8)

    def frames() -> Iterator[np.ndarray]:
        for i in range(7):
            buffer[:] = photo(30, 40, seed=i)
            yield buffer

    estimator = load(tiny_folder, batch_size=batch_size)
    estimator.batches_under_way = under_way
    network = estimator._network.run

    def slow(*given: object) -> object:
        time.sleep(0.01)  # while frames are taken
        return network(*given)

    estimator._network.run = slow
    for i, depth in enumerate(estimator.stream(frames())):
        want = estimator(photo(30, 40, seed=i)).values
        np.testing.assert_allclose(depth.values, want, rtol=1e-4, atol=1e-5)


def test_an_overflow_that_is_found_with_the_map_begins_anew_in_float32(
    load: Load,
    tiny_folder: Path,
    photo: Photo,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As on CUDA, which is not asked before."""
    original = DepthNetwork.run

    def late(self: DepthNetwork, batch: Any) -> Any:
        is_half = self.dtype is torch.float16
        outputs = original(self, batch)
        # The second of three batches does not hold.
        mark = torch.tensor(batch[0].image.shape != (50, 50, 3)) if is_half else None
        return [replace(output, is_sound=mark) for output in outputs]

    monkeypatch.setattr(DepthNetwork, "run", late)
    images = [photo(90, 120), photo(45, 60), photo(50, 50), photo(200, 50)]
    # The weights of the network in float16, widened: not those that were never narrowed.
    narrow = load(tiny_folder, dtype="float16", batch_size=2)
    narrow._network.widen()
    caplog.clear()
    expected = [depth.values for depth in narrow(images)]
    calls: list[Callable[[DepthEstimator], list[np.ndarray]]] = [
        lambda e: [depth.values for depth in e(images)],
        lambda e: [tensor.numpy() for tensor in e(images, output="torch")],
        lambda e: [prediction.depth.values for prediction in e.predict(images)],
    ]
    for call in calls:
        caplog.clear()
        estimator = load(tiny_folder, dtype="float16", batch_size=2)
        for got, want in zip(call(estimator), expected, strict=True):
            np.testing.assert_array_equal(got, want)
        assert estimator.dtype is torch.float32
        assert [message for message in caplog.messages if "overflowed" in message] == [
            "torch.float16 overflowed on this image; going on in float32"
        ]


def test_out_of_memory_at_the_size_of_the_image_is_a_sentence(estimator, photo, monkeypatch):
    def exhausted(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(full_size, "upsample", exhausted)
    with pytest.raises(DeviceError, match="smaller images"):
        estimator(photo(40, 50))
