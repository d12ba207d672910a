"""`DepthEstimator`: images in, depth maps out, each at its own size."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import torch

from depth3d.accel.ahead import mapped_ahead
from depth3d.accel.batches import AdaptiveBatches, affordable_batch, group_indices, is_out_of_memory
from depth3d.accel.devices import resolve_device
from depth3d.accel.precision import resolve_dtype
from depth3d.accel.transfers import downloaded
from depth3d.core.arrays import FloatMap, ImageArray, as_image
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.stages import stage, waited_for
from depth3d.errors import DeviceError, InputError
from depth3d.estimate.backends.choice import check_backend, runnable
from depth3d.estimate.checkpoints import LoadedModel, load_checkpoint
from depth3d.estimate.full_size import at_full_size, handed_over, own_memory
from depth3d.estimate.given_images import check_prompts, checked_images, is_image
from depth3d.estimate.hub import locate_weights
from depth3d.estimate.network import DepthNetwork, NetworkInput, NetworkOutput
from depth3d.estimate.outputs import OutputMeaning
from depth3d.estimate.prediction import Prediction
from depth3d.estimate.preprocess import DEFAULT_MAX_TOKENS, InputRule, check_input_size, network_size
from depth3d.estimate.registry import AUTO, ModelCard
from depth3d.estimate.settled_networks import SettledNetwork, remember
from depth3d.estimate.tta import views_for

__all__ = ["DEFAULT_MAX_TOKENS", "DepthEstimator"]

_log = logging.getLogger("depth3d")

_Image: TypeAlias = "np.ndarray[Any, Any]"


class DepthEstimator:
    """A depth network, ready to be called with images.

    Make one with `from_pretrained`; one is enough for any number of images and threads, whose calls take
    turns in the network, but for plain ones in float32 on the processor.

    Attributes:
        name: What was asked for, for people and for files.
        card: What the registry knows of it.
        kind: What its maps mean.
        device: Where it runs.
        dtype: The number format that it runs in.
        backend: The program that runs it.
        input_size: Shorter side in pixels at which it sees images; of `mini` the longer one.
        batches_under_way: Calls that are worth making at once, from threads: 2 on CUDA, where one batch is
            copied and shown while the maps of another are fetched; else 1.

    Examples:
        >>> estimator = DepthEstimator.from_pretrained("small")
        >>> depth = estimator(image)                        # DepthMap(relative)
        >>> depths = estimator([image, other])              # any sizes, in order
        >>> for depth in estimator.stream(frames): ...      # bounded memory
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        card: ModelCard,
        device: str = "auto",
        dtype: str = "auto",
        backend: str = "auto",
        input_size: int | None = None,
        batch_size: int | None = None,
        tta: str | None = None,
        refine: str | None = "auto",
        max_tokens: int = DEFAULT_MAX_TOKENS,
    ) -> None:
        if input_size is None:
            input_size = loaded.rule.own_input_size
        check_input_size(input_size, max_tokens)
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise InputError(
                f"batch_size must be a whole number of at least 1, or None for automatic, got {batch_size!r}"
            )
        if refine not in ("auto", "guided", "none", None):
            raise InputError(f"refine must be 'auto', 'guided' or 'none', got {refine!r}")
        self.card = card
        self.name = card.name
        self.device = resolve_device(device)
        self.input_size = input_size
        self._rule: InputRule = loaded.rule
        self._meaning: OutputMeaning = loaded.meaning
        self._views = views_for(tta, any_size=self._rule.takes_any_size)
        self._guided = refine == "guided" or (refine == "auto" and loaded.soft_edges)
        self._max_tokens = max_tokens
        wanted = resolve_dtype(dtype)
        try:
            network, self.backend = runnable(
                loaded, name=card.name, device=self.device, dtype=wanted, backend=backend
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                f"{self.name} does not fit into the memory of {self.device}; free some, use a smaller model, "
                "or device='cpu'"
            ) from error
        self._network = DepthNetwork(network, self._meaning, self._rule, self.device)
        # A GPU runs one pass after the other, and what is compiled may not be called twice at once. Of a
        # plain network on the processor, threads of a core each run several faster than a team runs one.
        is_plain = self.backend == "torch" and self.device.type == "cpu" and self.dtype == torch.float32
        self._turn = nullcontext() if is_plain else threading.Lock()
        # CUDA is told all of a call in one go, upsampling and the copies back included, and waited for
        # outside: else the next call's network would come before this one's upsampling.
        self._cuda_turn: AbstractContextManager[Any] = nullcontext()
        self.batches_under_way = 1
        if self.device.type == "cuda":
            self._turn, self._cuda_turn, self.batches_under_way = nullcontext(), threading.Lock(), 2
        self._batches = AdaptiveBatches(
            batch_size or affordable_batch(self.device, self._network.bytes_per_image(input_size))
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = AUTO,
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
    ) -> DepthEstimator:
        """Load a network by name, from the hub, from a directory or from a file.

        Args:
            name_or_path: `auto`; a name of `depth3d models` such as `small` or `metric-indoor-small`; a hub
                id; a directory; or a `.pth`, `.pt` or `.safetensors` file of the original repository or
                of a `mini`. `auto` is `small` where it is cached or can be fetched, else `mini`, which
                comes with depth3d, with a warning. Names win over paths: write `./small` for a
                directory of that name.
            device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
            dtype: `float32`, `float16`, `bfloat16`, `int8` or `auto`: float16 on CUDA, bfloat16 on a CPU that
                multiplies in it, if a trial with these very weights agrees with float32 within 1e-2
                (root mean square after affine alignment, as a share of the span); else float32. On a CPU
                `mini` stays in float32. `int8` is only taken if asked for: on CPUs, by OpenVINO or ONNX
                Runtime, which multiply by the transformer's weights in bytes; for CPUs without bfloat16.
            backend: What runs the network: `torch`; `compile` (torch.compile); `onnx` (ONNX Runtime, CPU or
                CUDA); `openvino` (CPU); `tensorrt` (CUDA); or `auto`, which is OpenVINO on a CPU where it is
                installed and the network is Depth Anything, else torch. They agree within 1e-4 of the span in
                float32 and within the tolerance of `dtype` otherwise. What they compile is kept in
                `DEPTH3D_CACHE_DIR`, or the user's folder for caches. On CUDA, torch repeats passes as CUDA
                graphs, unless `DEPTH3D_CUDA_GRAPHS` is 0.
            input_size: Shorter side in pixels at which the network sees images, rounded up to the
                patch size; of `mini` the longer side, rounded to a multiple of 32. None is what the
                network was made for: 518 for Depth Anything V2, 384 for `mini`. Networks made for one
                size keep theirs.
            batch_size: Images that share one pass; None lets the memory decide.
            tta: None, `flip`, `multiscale` or `flip+multiscale`: average several views of each image.
            refine: `guided` lets the photo's edges sharpen the map's, `none` (or None) does not; `auto` does
                for `mini`, whose edges are soft.
            max_depth_m: Range in metres of a metric file whose name does not tell it.
            max_tokens: Bound on the cells of 14 x 14 pixels (32 x 32 for `mini`) of one image; beyond it
                both sides shrink alike. 4096 is met beyond 3:1 at 518; 1369 is a square's work at 518.

        Returns:
            The estimator.

        Raises:
            UnknownModelError: The name means nothing.
            ModelUnavailableError: The weights are not cached and the hub is out of reach.
            CheckpointError: The weights can't be used.
            DeviceError: The device is not there, or the network does not fit into its memory.
            InputError: Another argument is out of range.
        """
        resolve_device(device)  # before the weights are read or fetched
        check_backend(backend, resolve_dtype(dtype))
        card, path = locate_weights(name_or_path)
        loaded = load_checkpoint(path, max_depth_m=max_depth_m, name=card.name)
        if not card.commercial_use:
            _say_once(f"{card.name} is licensed {card.licence}: not for commercial use")
        estimator = cls(
            loaded,
            card=card,
            device=device,
            dtype=dtype,
            backend=backend,
            input_size=input_size,
            batch_size=batch_size,
            tta=tta,
            refine=refine,
            max_tokens=max_tokens,
        )
        blob = estimator._network.blob
        if blob is not None and not loaded.soft_edges:
            settled = SettledNetwork(
                blob.path,
                blob.form,
                blob.circumstances,
                loaded.rule,
                loaded.meaning,
                blob.program,
                blob.sized,
            )
            remember(path, {"dtype": dtype, "backend": backend, "max_depth_m": max_depth_m}, settled)
        return estimator

    @property
    def kind(self) -> DepthKind:
        """What the maps mean."""
        return self._meaning.kind

    @property
    def dtype(self) -> torch.dtype:
        """The number format that the network runs in."""
        return self._network.dtype

    def __repr__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        by = "" if self.backend == "torch" else f" by {self.backend}"
        return (
            f"DepthEstimator({self.name}, {self.kind}, {self.device}{by}, {dtype}, input {self.input_size})"
        )

    # -- calls ----------------------------------------------------------------------------------

    @overload
    def __call__(self, images: _Image, *, prompt: DepthMap | None = ...) -> DepthMap: ...
    @overload
    def __call__(
        self, images: Sequence[_Image], *, prompt: Sequence[DepthMap] | None = ...
    ) -> list[DepthMap]: ...
    @overload
    def __call__(
        self,
        images: _Image | Sequence[_Image],
        *,
        output: Literal["torch"],
        prompt: DepthMap | Sequence[DepthMap] | None = ...,
    ) -> list[torch.Tensor]: ...

    def __call__(
        self,
        images: _Image | Sequence[_Image],
        *,
        output: Literal["depth", "torch"] = "depth",
        prompt: DepthMap | Sequence[DepthMap] | None = None,
    ) -> DepthMap | list[DepthMap] | list[torch.Tensor]:
        """Estimate the depth of one image or of many.

        Args:
            images: (H, W, 3) uint8 sRGB, upright; or a list of them, of any sizes.
            output: `depth` for `DepthMap`s; `torch` for (H, W) float32 tensors on the device.
            prompt: A metric map of any size for each image, for Prompt Depth Anything alone.

        Returns:
            A map for an image, a list in the same order for a list; with `output="torch"` always a
            list. Each has the size of its image.

        Raises:
            InputError: An image is not (H, W, 3) uint8, or a prompt is missing or not wanted.
            DeviceError: Not even a single image fits into the memory.
        """
        if output not in ("depth", "torch"):
            raise InputError(f"output must be 'depth' or 'torch', got {output!r}")
        single = is_image(images)
        checked = checked_images(images, prompt)
        if output == "torch":
            with waited_for(self._cuda_turn):
                values, _, are_sound = self._values(*checked)
                if not all(map(bool, are_sound)):
                    self._network.widen()
                    values, _, _ = self._values(*checked)
                # Copies, because tensors made in inference mode refuse to be changed in place or trained on.
                return [value.clone() for value, _ in values]
        maps = [prediction.depth for prediction in self._predictions(*checked)]
        return maps[0] if single else maps

    @overload
    def predict(self, images: _Image, *, prompt: DepthMap | None = ...) -> Prediction: ...
    @overload
    def predict(
        self, images: Sequence[_Image], *, prompt: Sequence[DepthMap] | None = ...
    ) -> list[Prediction]: ...

    def predict(
        self, images: _Image | Sequence[_Image], *, prompt: DepthMap | Sequence[DepthMap] | None = None
    ) -> Prediction | list[Prediction]:
        """Estimate the depth of one image or of many, with all else that the network says.

        Args:
            images: As for a call.
            prompt: As for a call.

        Returns:
            A `Prediction` for an image, a list for a list.

        Raises:
            InputError: As for a call.
            DeviceError: As for a call.
        """
        single = is_image(images)
        results = [*self._predictions(*checked_images(images, prompt))]
        return results[0] if single else results

    def stream(self, frames: Iterable[_Image]) -> Iterator[DepthMap]:
        """Estimate the depth of frames as they come.

        Args:
            frames: (H, W, 3) uint8 images, in any number; all may come in the same memory. Never more than
                one batch of them is held, or as many as are `batches_under_way`.

        Yields:
            One map a frame, in order.

        Raises:
            InputError: A frame is not (H, W, 3) uint8; the frames before its batch were given.
        """
        waiting = (as_image(frame, name="a frame") for frame in frames)  # a copy: cameras fill one buffer
        batches = iter(lambda: list(islice(waiting, self._batches.size)), [])
        count = self.batches_under_way
        for maps in (
            map(self, batches) if count == 1 else mapped_ahead(self, batches, threads=count, count=count)
        ):
            yield from maps
            del maps  # else they would be held while the next batch passes

    # -- how ------------------------------------------------------------------------------------

    def _predictions(self, images: list[ImageArray], prompts: list[DepthMap | None]) -> Iterator[Prediction]:
        """Give the map of each image, and the field of view."""
        while True:
            with waited_for(self._cuda_turn):
                values, own, are_sound = self._values(images, prompts)
                arrays = downloaded([*are_sound, *(value for value, _ in values)])
            angles = [fov_x_deg for _, fov_x_deg in values]
            del values
            if all(bool(next(arrays)) for _ in are_sound):
                break
            with self._cuda_turn:
                self._network.widen()
        for fov_x_deg, memory in zip(angles, own, strict=True):
            with stage("upsampling"):
                depth = DepthMap(handed_over(next(arrays), memory), self.kind)
            yield Prediction(depth, fov_x_deg)

    def _values(
        self, images: list[ImageArray], prompts: list[DepthMap | None]
    ) -> tuple[list[tuple[torch.Tensor, float | None]], list[FloatMap | None], list[torch.Tensor]]:
        """Give (H, W) values and fields of view of all images, the memory of each map, and what is sound."""
        check_prompts(prompts, are_needed=self._meaning.needs_prompt, name=self.name)
        inputs = [
            NetworkInput(image, self._size_for(image, view.scale), view.flip, prompt)
            for image, prompt in zip(images, prompts, strict=True)
            for view in self._views
        ]
        outputs: list[NetworkOutput | None] = [None] * len(inputs)
        prompt_sizes = [None if i.prompt is None else i.prompt.size_wh for i in inputs]
        keys = [(i.size_hw, size) for i, size in zip(inputs, prompt_sizes, strict=True)]
        for group in group_indices(keys):
            with waited_for(self._turn):
                results = self._batches.run(self._network.run, [inputs[i] for i in group])
            for position, result in zip(group, results, strict=True):
                outputs[position] = result
        done = [output for output in outputs if output is not None]
        are_sound = {id(o.is_sound): o.is_sound for o in done if o.is_sound is not None}
        count = len(self._views)
        finished = partial(at_full_size, rule=self._rule, meaning=self._meaning, guided=self._guided)
        starts, own = range(0, len(done), count), own_memory(images, self.device)
        values = [
            finished(image, done[start : start + count], self._views, into=into)
            for image, start, into in zip(images, starts, own, strict=True)
        ]
        return values, own, [*are_sound.values()]

    def _size_for(self, image: ImageArray, scale: float) -> tuple[int, int]:
        height, width = image.shape[:2]
        return network_size(
            self._rule,
            height,
            width,
            input_size=max(1, round(self.input_size * scale)),
            max_tokens=max(1, round(self._max_tokens * scale * scale)),
        )


@cache
def _say_once(message: str) -> None:
    _log.warning(message)
