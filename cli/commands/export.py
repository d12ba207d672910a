"""`depth3d export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..console import note, print_json
from ..options import json_option, output_option, overwrite_option, verbosity_options
from ..types import FrameSize


@click.command(name="export", short_help="Write a network as a file for other programs.")
@click.option(
    "--model",
    default="auto",
    metavar="NAME",
    envvar="DEPTH3D_MODEL",
    show_envvar=True,
    help="A name of `depth3d models`, a hub id, a directory, or a .pth file: Depth Anything or mini.",
)
@output_option("The file: .onnx, .xml, .engine, .mlpackage or .pt.")
@click.option(
    "--format",
    type=click.Choice(["onnx", "openvino", "tensorrt", "coreml", "torchscript"]),
    help="By default that of the file's suffix.",
)
@click.option(
    "--size",
    "size_wh",
    type=FrameSize(),
    help="Pixels at which the network sees images, multiples of 14.  [default: any; with preprocessing, and "
    "for coreml, the network's own square]",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16", "int8"]),
    default="float32",
    help="Format of the numbers in the file; int8 for onnx and openvino, on CPUs.",
)
@click.option(
    "--with-preprocessing",
    is_flag=True,
    help="Take (n, H, W, 3) uint8 RGB photos of any size; they are stretched to --size.",
)
@click.option("--at-input-size", is_flag=True, help="Give depth at the photo's size, not the network's.")
@click.option(
    "--max-depth-m",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M",
    help="Range of a metric .pth file whose name does not tell it.",
)
@overwrite_option
@json_option
@verbosity_options
def command(model: str, output: Path, as_json: bool, **options: Any) -> None:
    """Write a network as one file for ONNX Runtime, OpenVINO, TensorRT, Core ML or LibTorch.

    The file is run and compared with PyTorch before it is kept. It says of itself what it takes and gives:
    kind, max_depth, mean, std, licence.

    \b
    depth3d export --model small -o small.onnx
    depth3d export --model small -o photo.onnx --size 686x518 --with-preprocessing --at-input-size
    depth3d export --model metric-indoor-small -o indoor.xml --precision float16
    depth3d export --model small -o small8.onnx --precision int8
    """
    from depth3d.export_files import export_model

    made = export_model(model, output, **options)
    if made.facts["licence"] not in ("Apache-2.0", "unknown"):
        note(f"{made.facts['model']} is licensed {made.facts['licence']}: so is the file")
    if made.deviation is None:
        note(f"{made.format} can't be run here: the file was not compared with PyTorch")
    if as_json:
        files = [str(file) for file in made.files]
        print_json({"output": str(made.path), "files": files, "format": made.format,
                    "deviation": made.deviation, "abs_rel": made.abs_rel, **made.facts})  # fmt: skip
    else:
        click.echo(f"{made.path}: {made!r}")
