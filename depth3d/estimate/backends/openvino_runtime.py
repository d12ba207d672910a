"""OpenVINO on CPUs: the fastest on most x86 processors, in bfloat16 where they have it, float32 and int8."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from depth3d.errors import DeviceError
from depth3d.estimate import network as network_module
from depth3d.estimate.backends.artefacts import artefact, fingerprint
from depth3d.estimate.backends.graph import GRAPH_VERSION, write_network
from depth3d.estimate.backends.int8 import INT8_VERSION, check_int8, equalised, pack_weights
from depth3d.estimate.backends.openvino_blobs import (
    INPUT_GROUP,
    Blob,
    abilities,
    circumstances,
    import_blob,
    settings_for,
)
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
    if dtype is torch.int8:
        return _compiled(network, of, dtype, rule)
    if dtype is None and openvino_computes(torch.bfloat16):
        faster = _compiled(network, of, torch.bfloat16)

        def judge(path: Path) -> None:
            path.write_text(str(agrees(faster, network, rule, device, torch.bfloat16)))

        # The trial takes as long as all else that happens before the first image: it is made once.
        tolerance = str(network_module.HALF_PRECISION_TOLERANCE)
        verdict = artefact("openvino", ".trial", judge, Path.read_text, **_circumstances(of, tolerance))
        if verdict == "True":
            return faster
    return _compiled(network, of, dtype or torch.float32)


def _compiled(
    network: torch.nn.Module, of: str, dtype: torch.dtype, rule: InputRule | None = None
) -> GraphNetwork:
    """Open a compiled network, or compile it; `rule` is for int8."""
    import openvino

    core = openvino.Core()
    form = _NAMES[dtype]
    settings = settings_for(form)

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "network.onnx"
            if rule is not None:
                write_network(equalised(network, rule), graph)
                pack_weights(graph, graph)
            else:
                write_network(network, graph)
            model = core.compile_model(str(graph), "CPU", settings)
            if rule is not None:
                check_int8(running(model), network, rule)
            path.write_bytes(model.export_model().getvalue())

    def running(model: Any) -> GraphNetwork:
        request = model.create_infer_request()

        def run(pixels: torch.Tensor) -> torch.Tensor:
            results = request.infer({0: pixels.numpy()}, share_inputs=True, share_outputs=False)
            return torch.from_numpy(results[0])

        return GraphNetwork(run, network, dtype, network if dtype is torch.float16 else None)

    def read(path: Path) -> GraphNetwork:
        compiled = running(import_blob(path, form))
        compiled.blob = Blob(path, form, circumstances())
        return compiled

    return artefact("openvino", ".blob", make, read, **_circumstances(of, form))


def _circumstances(of: str, form: str) -> dict[str, Any]:
    """List what a compiled network depends on, besides its own numbers."""
    own = {"network": of, "form": form, "graph": GRAPH_VERSION, "torch": torch.__version__}
    if form == _NAMES[torch.int8]:
        own |= {"int8": INT8_VERSION, "group": INPUT_GROUP}
    return own | circumstances()
