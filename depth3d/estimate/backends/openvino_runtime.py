"""OpenVINO on CPUs: the fastest on most x86 processors, in bfloat16 where they have it, float32 and int8."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from depth3d.errors import DeviceError
from depth3d.estimate import network as network_module
from depth3d.estimate.backends.artefacts import GRAPH_VERSION, INT8_VERSION, artefact, fingerprint
from depth3d.estimate.backends.graph import write_network
from depth3d.estimate.backends.int8 import check_int8, equalised, pack_weights
from depth3d.estimate.backends.openvino_blobs import (
    FILE_VERSION,
    INPUT_GROUP,
    Blob,
    BlobRunner,
    abilities,
    circumstances,
    import_blob,
    openvino_core,
    settings_for,
    size_name,
    whole,
    write_blob,
)
from depth3d.estimate.backends.openvino_sizes import fix_size, usual_sizes
from depth3d.estimate.backends.runner import GraphNetwork
from depth3d.estimate.network import agrees
from depth3d.estimate.preprocess import InputRule

__all__ = ["openvino_computes", "openvino_network"]

_NAMES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16", torch.int8: "i8"}
_ABILITIES = {torch.float32: "FP32", torch.bfloat16: "BF16", torch.float16: "FP16", torch.int8: "INT8"}


def openvino_computes(dtype: torch.dtype) -> bool:
    """Tell whether OpenVINO computes in a number format on this CPU natively."""
    return _ABILITIES[dtype] in abilities()


def openvino_network(
    network: torch.nn.Module, rule: InputRule, device: torch.device, dtype: torch.dtype | None
) -> GraphNetwork:
    """Run a network by OpenVINO.

    Args:
        network: One that `can_be_exported`, in float32 on the CPU.
        rule: How it wants its images.
        device: The CPU.
        dtype: A number format; None takes bfloat16 where the CPU computes in it and a trial agrees with
            float32.

    Returns:
        The network, for images of any size.

    Raises:
        DeviceError: Another device, or a format that this CPU does not compute in.
        ModelError: The network does not bear int8.
    """
    if device.type != "cpu":
        raise DeviceError(f"the openvino backend runs on the CPU, not on {device}; use device='cpu'")
    if dtype is not None and not openvino_computes(dtype):
        raise DeviceError(
            f"this CPU does not compute in {str(dtype).removeprefix('torch.')}; leave --dtype (dtype) out"
        )
    of = fingerprint(network)
    if dtype is None and openvino_computes(torch.bfloat16):
        faster = _compiled(network, of, torch.bfloat16, rule)

        def judge(path: Path) -> None:
            path.write_text(str(agrees(faster, network, rule, device, torch.bfloat16)))

        # The trial takes as long as all else that happens before the first image: it is made once.
        tolerance = str(network_module.HALF_PRECISION_TOLERANCE)
        if artefact("openvino", ".trial", judge, _verdict, **_circumstances(of, tolerance)):
            return faster
    return _compiled(network, of, dtype or torch.float32, rule)


def _verdict(path: Path) -> bool:
    return {"True": True, "False": False}[path.read_text()]


def _compiled(network: torch.nn.Module, of: str, dtype: torch.dtype, rule: InputRule) -> GraphNetwork:
    """Open a compiled network, or compile it."""
    core, form = openvino_core(), _NAMES[dtype]
    settings, known = settings_for(form), _circumstances(of, form)
    with ExitStack() as held:

        @cache
        def graph() -> str:
            path = Path(held.enter_context(tempfile.TemporaryDirectory())) / "network.onnx"
            write_network(equalised(network, rule) if dtype is torch.int8 else network, path)
            if dtype is torch.int8:
                pack_weights(path, path)
            return str(path)

        def make(path: Path) -> None:
            model = core.compile_model(graph(), "CPU", settings)
            if dtype is torch.int8:
                request = model.create_infer_request()
                check_int8(
                    _called(lambda pixels: request.infer({0: pixels})[0], network, dtype), network, rule
                )
            write_blob(path, model)

        sizes = usual_sizes(network, rule)

        def opened(path: Path) -> tuple[Path, Any]:
            """Load it, unless most images have forms of their own: it is loaded when one has not."""
            return whole(path), None if sizes else import_blob(path, form)

        blob, model = artefact("openvino", ".blob", make, opened, **known)

        def make_sized(path: Path, size_hw: tuple[int, int]) -> None:
            model = core.read_model(graph())
            fix_size(model, network, size_hw)
            write_blob(path, core.compile_model(model, "CPU", settings))

        sized = {
            size_name(*size): artefact(
                "openvino", ".sized", partial(make_sized, size_hw=size), whole, **known, size=size
            )
            for size in sizes
        }
    compiled = _called(BlobRunner(blob, form, sized, model), network, dtype)
    compiled.blob = Blob(blob, form, circumstances(), sized=sized)
    return compiled


def _called(
    run: Callable[[Any], np.ndarray[Any, Any]], network: torch.nn.Module, dtype: torch.dtype
) -> GraphNetwork:
    """Let a function of arrays be called as the network is."""
    exact = network.float if dtype is torch.float16 else None
    return GraphNetwork(lambda pixels: torch.from_numpy(run(pixels.numpy())), network, dtype, exact)


def _circumstances(of: str, form: str) -> dict[str, Any]:
    """List what a compiled network depends on, besides its own numbers."""
    own = {"network": of, "form": form, "file": FILE_VERSION}
    own |= {"graph": GRAPH_VERSION, "torch": torch.__version__}
    if form == _NAMES[torch.int8]:
        own |= {"int8": INT8_VERSION, "group": INPUT_GROUP}
    return own | circumstances()
