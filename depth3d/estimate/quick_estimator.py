"""`QuickEstimator`: the same maps without PyTorch, by OpenVINO or ONNX Runtime, of a network that ran before.

Importing PyTorch takes longer than a picture does. What `DepthEstimator` does around the network is done here
in NumPy, Pillow and OpenCV. Pillow's antialiased bicubic resize differs from PyTorch's in two of a thousand
values, by one level of 255; OpenCV's bilinear one by less than 1e-4 of the span.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.stages import stage, waited_for
from depth3d.estimate.backends.installed import int8_backend
from depth3d.estimate.given_images import checked_images, is_image
from depth3d.estimate.hub import locate_weights
from depth3d.estimate.outputs import FARTHEST_M, NEAREST_M, RawOutput
from depth3d.estimate.prediction import Prediction
from depth3d.estimate.preprocess import DEFAULT_MAX_TOKENS, check_input_size, network_size
from depth3d.estimate.registry import ModelCard
from depth3d.estimate.settled_networks import SettledNetwork, recall

__all__ = ["QuickEstimator", "quick_estimator"]

_log = logging.getLogger("depth3d")

_FORMATS = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "i8": "int8"}
_PROGRAMS = {"onnx": "onnxruntime", "openvino": "openvino"}
"""Backends that need no PyTorch, and their modules."""

_Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

_GPU_TRACES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Drivers of NVIDIA, of NVIDIA under Windows' Linux, and of AMD."""


class QuickEstimator:
    """A network that OpenVINO or ONNX Runtime runs, called as a `DepthEstimator` is.

    Make one with `quick_estimator`.

    Attributes:
        name: What was asked for, for people and for files.
        card: What the registry knows of it.
        kind: What its maps mean.
        dtype: The number format that it runs in, such as `bfloat16`.
        backend: `openvino` or `onnx`.
        input_size: Shorter side in pixels at which it sees images.
    """

    def __init__(
        self,
        settled: SettledNetwork,
        run: _Run,
        *,
        card: ModelCard,
        input_size: int | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
    ) -> None:
        self.card = card
        self.name = card.name
        self.dtype = _FORMATS[settled.form]
        self.input_size = settled.rule.own_input_size if input_size is None else input_size
        check_input_size(self.input_size, max_tokens)
        self._max_tokens = max_tokens
        self._rule = settled.rule
        self._meaning = settled.meaning
        self.backend = settled.program
        self._run = run
        self._turn = threading.Lock()

    @property
    def kind(self) -> DepthKind:
        """What the maps mean."""
        return self._meaning.kind

    def __repr__(self) -> str:
        return f"QuickEstimator({self.name}, {self.kind}, cpu, {self.dtype}, {self.backend})"

    @overload
    def __call__(self, images: ImageArray) -> DepthMap: ...
    @overload
    def __call__(self, images: Sequence[ImageArray]) -> list[DepthMap]: ...

    def __call__(self, images: ImageArray | Sequence[ImageArray]) -> DepthMap | list[DepthMap]:
        """Estimate the depth of one image or of many; as `DepthEstimator` does.

        Args:
            images: (H, W, 3) uint8 sRGB, upright; or a list of them, of any sizes.

        Returns:
            A map for an image, a list in the same order for a list.

        Raises:
            InputError: An image is not (H, W, 3) uint8.
        """
        given, _ = checked_images(images, None)
        maps = [self._depth_of(image) for image in given]
        return maps[0] if is_image(images) else maps

    @overload
    def predict(self, images: ImageArray) -> Prediction: ...
    @overload
    def predict(self, images: Sequence[ImageArray]) -> list[Prediction]: ...

    def predict(self, images: ImageArray | Sequence[ImageArray]) -> Prediction | list[Prediction]:
        """Estimate the depth of one image or of many, as `Prediction`s.

        Args:
            images: As for a call.

        Raises:
            InputError: As for a call.
        """
        given, _ = checked_images(images, None)
        results = [Prediction(self._depth_of(image)) for image in given]
        return results[0] if is_image(images) else results

    def stream(self, frames: Iterable[ImageArray]) -> Iterator[DepthMap]:
        """Estimate the depth of frames as they come; one is held at a time.

        Args:
            frames: (H, W, 3) uint8 images.

        Raises:
            InputError: A frame is not (H, W, 3) uint8.
        """
        for frame in frames:
            yield self(frame)

    def _depth_of(self, image: ImageArray) -> DepthMap:
        height, width = image.shape[:2]
        size_hw = network_size(
            self._rule, height, width, input_size=self.input_size, max_tokens=self._max_tokens
        )
        pixels = self._seen(image, size_hw)
        with waited_for(self._turn), stage("network"):
            raw = self._run(pixels)[0]
        return DepthMap(self._enlarged(raw, (width, height)), self.kind)

    @stage("preparing the image")
    def _seen(self, image: ImageArray, size_hw: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Resize and normalise: (1, 3, h, w)."""
        from PIL import Image

        if image.shape[:2] != size_hw:
            by = Image.Resampling.BICUBIC if self._rule.filter == "bicubic" else Image.Resampling.BILINEAR
            image = np.asarray(Image.fromarray(image).resize(size_hw[::-1], by))
        values = image.transpose(2, 0, 1)[None].astype(np.float32, order="C")
        mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (self._rule.mean, self._rule.std))
        values /= 255
        values -= mean
        values /= std
        return values

    @stage("upsampling")
    def _enlarged(self, raw: npt.NDArray[np.float32], size_wh: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Bring the raw map to the image's size, as a field that is affine on planes (`OutputMeaning`)."""
        import cv2

        in_metres = self._meaning.raw is RawOutput.DEPTH_M and self.kind is DepthKind.METRIC
        field = np.reciprocal(np.clip(raw, NEAREST_M, FARTHEST_M), dtype=np.float32) if in_metres else raw
        if field.shape != size_wh[::-1]:
            field = np.asarray(cv2.resize(field, size_wh, interpolation=cv2.INTER_LINEAR), np.float32)
        return np.reciprocal(field) if in_metres else field


def quick_estimator(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    backend: str = "auto",
    input_size: int | None = None,
    batch_size: int | None = None,
    tta: str | None = None,
    refine: str | None = "auto",
    max_depth_m: float | None = None,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    **others: Any,
) -> QuickEstimator | None:
    """Load a network without PyTorch, if that gives what `DepthEstimator.from_pretrained` would.

    Args:
        name_or_path: As there, and so are the others.
        device: As there.
        dtype: As there.
        backend: As there.
        input_size: As there.
        batch_size: As there; images pass one by one here.
        tta: As there.
        refine: As there.
        max_depth_m: As there.
        max_tokens: As there.
        **others: What only `DepthEstimator` does, unless it is None.

    Returns:
        None where neither OpenVINO nor ONNX Runtime is to be used or installed, where there may be a GPU,
        where PyTorch is needed for something else, and where this network has not run on this machine yet.
    """
    asked = {"dtype": dtype, "backend": backend, "max_depth_m": max_depth_m}
    if backend == "auto":
        backend = (int8_backend() or "") if dtype == "int8" else "openvino"
    wanted = _is_there(backend) and (device == "cpu" or (device == "auto" and _has_no_gpu()))
    one_by_one = batch_size is None or (type(batch_size) is int and batch_size == 1)
    plain = tta is None and refine != "guided" and all(value is None for value in others.values())
    if not (wanted and one_by_one and plain):
        return None
    card, path = locate_weights(name_or_path)
    settled = recall(path, asked, backend) if card.shipped is None and card.commercial_use else None
    if settled is None or settled.meaning.needs_prompt or settled.rule.pads:
        return None
    if settled.form == "f16":  # which may overflow on an image: the long way looks, and goes on in float32
        return None
    try:
        run = _runner_of(settled)
    except Exception as error:  # whatever the program may raise; the long way says what is wrong, if anything
        _log.info("loading %s anew (%s)", card.name, (str(error).splitlines() or [""])[0])
        return None
    if run is None:
        return None
    return QuickEstimator(settled, run, card=card, input_size=input_size, max_tokens=max_tokens)


def _is_there(program: str) -> bool:
    return program in _PROGRAMS and find_spec(_PROGRAMS[program]) is not None


def _runner_of(settled: SettledNetwork) -> _Run | None:
    """Load the compiled network; None if it was made under other circumstances."""
    if settled.program == "onnx":
        from depth3d.estimate.backends import onnx_sessions

        if onnx_sessions.circumstances() != settled.circumstances:
            return None
        session = onnx_sessions.open_session(settled.blob)
        name = session.get_inputs()[0].name
        return lambda pixels: session.run(None, {name: pixels})[0]
    from depth3d.estimate.backends import openvino_blobs

    if openvino_blobs.circumstances() != settled.circumstances:
        return None
    return openvino_blobs.BlobRunner(settled.blob, settled.form, settled.sized)


def _has_no_gpu() -> bool:
    """Tell whether there is surely no GPU that PyTorch could use."""
    return sys.platform == "linux" and not any(map(os.path.exists, _GPU_TRACES))
