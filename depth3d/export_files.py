"""Networks as files for other programs, written whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from depth3d.core.stages import stage
from depth3d.errors import FileError, OutputExistsError

__all__ = ["ExportedModel", "export_model"]


@dataclass(frozen=True, slots=True, eq=False)
class ExportedModel:
    """A network that was written for another program.

    Attributes:
        path: The file, or for Core ML the folder.
        files: All that was written; OpenVINO and TensorRT write two.
        format: Its format.
        deviation: Its largest deviation from PyTorch on trial images as a share of the span; None where it
            could not be run here.
        abs_rel: Its loss of accuracy: AbsRel to PyTorch in float32 after affine alignment, of the trial
            image where it is largest; None as above.
        facts: What the file says of itself: kind, max_depth (metres), mean, std, takes, gives, licence.
    """

    path: Path
    files: tuple[Path, ...]
    format: str
    deviation: float | None
    abs_rel: float | None
    facts: Mapping[str, str]

    def __repr__(self) -> str:
        off = "not run here" if self.deviation is None else f"within {self.deviation:.1g} of PyTorch"
        if self.abs_rel is not None and self.facts["precision"] != "float32":
            off += f", AbsRel {100 * self.abs_rel:.2g} %"
        size, precision = self.facts["size_wh"], self.facts["precision"]
        return f"ExportedModel({self.facts['model']}, {self.format}, {size}, {precision}, {off})"


def export_model(
    model: str | Path,
    output: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - the word of the command line
    size_wh: tuple[int, int] | int | None = None,
    precision: str = "float32",
    with_preprocessing: bool = False,
    at_input_size: bool = False,
    max_depth_m: float | None = None,
    overwrite: bool = False,
) -> ExportedModel:
    """Write a network as a file that another program runs, and check that it gives what PyTorch gives.

    Args:
        model: As for `DepthEstimator.from_pretrained`: a name, a hub id, a directory or a file.
        output: The file: `.onnx`, `.xml` (OpenVINO), `.engine` (TensorRT), `.mlpackage` (Core ML) or `.pt`
            (TorchScript).
        format: `onnx`, `openvino`, `tensorrt`, `coreml` or `torchscript`; None goes by the suffix.
        size_wh: (width, height) in pixels at which the network sees images, or the side of a square;
            multiples of 14 (`mini`: 32). None is any size, and with preprocessing, and for Core ML, the
            network's own square.
        precision: `float32`, `float16`, for TorchScript `bfloat16`, or for ONNX and OpenVINO `int8`: the
            transformer's weights in bytes, and with them its products, a third of the size. Pictures
            of one batch of such an ONNX file share the levels of the largest: show them one by one.
        with_preprocessing: Let the file take (n, H, W, 3) uint8 photos of any size, and resize and
            normalise them itself: stretched to `size_wh`, so give it the photos' aspect ratio.
        at_input_size: Let its depth have the photo's size (bilinear in disparity or inverse depth), and
            not the network's.
        max_depth_m: Range in metres of a metric file whose name does not tell it.
        overwrite: Whether an existing file may be replaced.

    Returns:
        What was written. The edges are the network's own: what `refine` does is not in the file.

    Raises:
        InputError: The options don't go together, a package is missing, or the network is of a family
            other than Depth Anything and `mini`.
        ModelError: The network can't be had, or the file does not give what PyTorch gives.
        DeviceError: The format needs hardware that is not here.
        FileError: The file can't be written, or it exists.
    """
    from depth3d.estimate.checkpoints import load_checkpoint
    from depth3d.estimate.export.exporter import ExportPlan, write_export
    from depth3d.estimate.export.formats import export_format
    from depth3d.estimate.hub import locate_weights
    from depth3d.io.atomic import check_writable

    output = Path(output)
    if isinstance(size_wh, int):
        size_wh = (size_wh, size_wh)
    plan = ExportPlan(export_format(format, output), size_wh, precision, with_preprocessing, at_input_size)
    if output.is_dir() and plan.format.name == "coreml":
        if not overwrite:
            raise OutputExistsError(f"{output} exists; give another name, or --overwrite (overwrite=True)")
    else:
        check_writable(output, overwrite=overwrite)
    with stage("loading the network"):
        card, weights = locate_weights(model)
        loaded = load_checkpoint(weights, max_depth_m=max_depth_m, name=card.name)
    plan = plan.checked(loaded, card.name)
    try:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".exporting.") as scratch:
            made, (deviation, abs_rel), facts = write_export(loaded, card, plan, Path(scratch) / output.name)
            files = tuple(output.parent / file.name for file in made)
            for file in files[:-1]:
                check_writable(file, overwrite=overwrite)
            for file, final in zip(made, files, strict=True):
                if final.is_dir():
                    shutil.rmtree(final)
                file.replace(final)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"can't write {output}: {error.strerror or error}; free space and try again"
        ) from error
    return ExportedModel(output, files, plan.format.name, deviation, abs_rel, facts)
