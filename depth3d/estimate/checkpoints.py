"""Weights on disk, made into a network: directories of `transformers`, and single files.

Nothing that comes with the weights is ever run: pickles are read with `weights_only=True`, code in a
repository is ignored, and sizes are checked before memory is spent on them.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from depth3d.core.depth import DepthKind
from depth3d.errors import CheckpointError, Depth3DError, InputError
from depth3d.estimate.depth_anything_weights import architecture_from_config, build_depth_anything
from depth3d.estimate.mini import MINI_ARCHITECTURE, MINI_RULE, MiniDepth
from depth3d.estimate.original_layout import architecture_of, is_original_layout, named_max_depth_m, renamed
from depth3d.estimate.outputs import SUPPORTED_MODEL_TYPES, OutputMeaning, RawOutput, output_meaning
from depth3d.estimate.preprocess import InputRule, input_rule
from depth3d.estimate.registry import FILE_SUFFIXES

__all__ = ["FILE_SUFFIXES", "LoadedModel", "load_checkpoint"]

_HARMLESS_IF_MISSING = ("mask_token", "pooler.dense.weight", "pooler.dense.bias")
"""Weights that only training uses."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network and what must be known to use it.

    Attributes:
        network: Float32, on the CPU, in evaluation mode; takes `pixel_values`, gives `predicted_depth`.
        meaning: What its output means.
        rule: How it wants its images.
        model_type: Its architecture in `transformers`, or `depth3d-mini`.
        halves_on_cpu: Whether `dtype="auto"` may take bfloat16 on a CPU.
        soft_edges: Whether `refine="auto"` lets the photo's edges sharpen the map's.
        source: The directory or file that it was read from.
    """

    network: torch.nn.Module
    meaning: OutputMeaning
    rule: InputRule
    model_type: str
    halves_on_cpu: bool = True
    soft_edges: bool = False
    source: Path | None = None


def load_checkpoint(
    path: str | Path, *, max_depth_m: float | None = None, name: str = "", trainable: bool = False
) -> LoadedModel:
    """Load weights from a directory or from one file.

    Args:
        path: A directory with `config.json` and weights, a `.pth`, `.pt` or `.safetensors` file of
            the original Depth Anything V2 repository, or the `.safetensors` file of a `mini`.
        max_depth_m: Range in metres of a metric file whose name does not tell it. It belongs to the
            weights: where they know their own, another one is refused.
        name: What to call the checkpoint in messages; the path's own name by default.
        trainable: Whether Depth Anything, too, is to be the network of `transformers`, which can be trained
            and saved again, and not the faster form of `depth3d.estimate.depth_anything`.

    Returns:
        The network, in float32 on the CPU.

    Raises:
        CheckpointError: There is nothing to load, it is damaged or unsafe, its tensors don't fit its
            architecture, or depth3d does not know what the architecture's output means.
        InputError: `max_depth_m` contradicts the weights or is not positive.
    """
    path = Path(path)
    name = name or path.name
    if max_depth_m is not None and not 0 < max_depth_m < float("inf"):
        raise InputError(
            f"max_depth_m must be positive metres, got {max_depth_m!r}; use 20 indoor, 80 outdoor"
        )
    return replace(_load(path, max_depth_m, name, trainable), source=path)


def _load(path: Path, max_depth_m: float | None, name: str, trainable: bool) -> LoadedModel:
    if path.is_dir():
        return _from_directory(path, max_depth_m, name, trainable)
    if not path.exists():
        raise CheckpointError(
            f"{path} does not exist; give a directory, a file, or a name of 'depth3d models'"
        )
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path.name} is empty; fetch it again")
    if path.suffix.lower() not in FILE_SUFFIXES:
        raise CheckpointError(
            f"{path.name} is no checkpoint; give a directory, or a file ending in {', '.join(FILE_SUFFIXES)}"
        )
    if path.suffix.lower() == ".safetensors":
        # What the file says of itself goes before what lies beside it.
        if _metadata(path).get("architecture") == MINI_ARCHITECTURE:
            return _from_mini(path, max_depth_m, name)
        if (path.parent / "config.json").exists():
            return _from_directory(path.parent, max_depth_m, name, trainable)
    return _from_file(path, max_depth_m, name, trainable)


# -- directories --------------------------------------------------------------------------------


def _from_directory(folder: Path, max_depth_m: float | None, name: str, trainable: bool) -> LoadedModel:
    config = _read_json(folder / "config.json", name)
    preprocessor = folder / "preprocessor_config.json"
    settings = _read_json(preprocessor, name) if preprocessor.exists() else {}
    stored_m = config.get("max_depth")
    if config.get("depth_estimation_type") == "metric" and stored_m is None:
        config["max_depth"] = max_depth_m
    elif max_depth_m is not None and max_depth_m != stored_m:
        raise InputError(
            f"max_depth_m={max_depth_m:g} contradicts {name}, whose weights say {stored_m!r}; leave it out"
        )
    meaning = output_meaning(config, name=name)
    rule = input_rule(config["model_type"], settings, name=name)
    weights = folder / "model.safetensors"
    if not trainable and weights.exists() and (own := _own_network(config, weights, name)):
        return _finish(own, meaning, rule, config["model_type"])
    with _as_checkpoint_error(name):
        network_class, parsed = _architecture(config)
        with _quiet_transformers():
            network, report = network_class.from_pretrained(
                folder, config=parsed, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    missing = [key for key in report["missing_keys"] if not key.endswith(_HARMLESS_IF_MISSING)]
    if missing or report.get("mismatched_keys"):
        raise _wrong_tensors(name, missing, [str(key) for key in report.get("mismatched_keys", ())])
    return _finish(network, meaning, rule, config["model_type"])


def _own_network(
    config: Mapping[str, Any], weights: Path | Mapping[str, torch.Tensor], name: str
) -> torch.nn.Module | None:
    """Make Depth Anything in depth3d's own form; None for other architectures and unusual settings."""
    sizes = architecture_from_config(config) if config["model_type"] == "depth_anything" else None
    if sizes is None:
        return None
    with _as_checkpoint_error(name):
        tensors = _read_tensors(weights, name) if isinstance(weights, Path) else weights
        network, missing, misshapen, unknown = build_depth_anything(sizes, tensors)
    if isinstance(weights, Path):
        unknown = []  # `transformers` leaves aside what it does not know in a directory, too
    if missing or misshapen or unknown:
        raise _wrong_tensors(name, missing, misshapen + unknown)
    return network


def _architecture(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Find the class in `transformers`, importing that architecture alone, and parse its settings."""
    from importlib import import_module

    model_type = config["model_type"]
    module = import_module(f"transformers.models.{model_type}.modeling_{model_type}")
    network_class = getattr(module, SUPPORTED_MODEL_TYPES[model_type])
    # Code that a repository brings along is never wanted; a head's factor may be no whole number, which
    # the settings refuse, or None, which the forward pass does: it is set on the network afterwards.
    settings = {key: value for key, value in config.items() if key not in ("auto_map", "model_type")}
    if "max_depth" in settings and model_type == "depth_anything":
        settings["max_depth"] = 1
    return network_class, network_class.config_class.from_dict(settings)


def _finish(network: Any, meaning: OutputMeaning, rule: InputRule, model_type: str) -> LoadedModel:
    if model_type == "depth_anything":
        network.head.max_depth = meaning.max_depth_m or 1
    return LoadedModel(network.eval().requires_grad_(requires_grad=False), meaning, rule, model_type)


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path.parent} holds no {path.name}; give a directory that transformers' save_pretrained() wrote"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} of {name} can't be read ({error}); fetch it again") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name} of {name} holds no settings; fetch it again")
    return value


# -- files --------------------------------------------------------------------------------------


def _from_file(path: Path, max_depth_m: float | None, name: str, trainable: bool) -> LoadedModel:
    state = _unwrapped(_read_tensors(path, path.name), name)
    if not is_original_layout(state):
        advice = (
            "give the directory with its config.json" if _is_transformers_layout(state) else "check the file"
        )
        raise CheckpointError(
            f"{name} does not have the tensors of the original Depth Anything V2 repository; {advice}"
        )
    if max_depth_m is None:
        max_depth_m = named_max_depth_m(path.name)
    else:
        _refuse_contradiction(path.name, max_depth_m)
    config = architecture_of(state, name=name)
    if max_depth_m is not None:
        config |= {"depth_estimation_type": "metric", "max_depth": max_depth_m}
    meaning, rule = output_meaning(config, name=name), input_rule("depth_anything", {}, name=name)
    if not trainable and (own := _own_network(config, renamed(state, {}), name)):
        return _finish(own, meaning, rule, "depth_anything")
    with _as_checkpoint_error(name):
        network_class, parsed = _architecture(config)
        with torch.device("meta"):
            network = network_class(parsed)
        expected = network.state_dict()
        tensors = renamed(state, expected)
        for key in expected.keys() - tensors.keys():
            if key.endswith(_HARMLESS_IF_MISSING):
                tensors[key] = torch.zeros(expected[key].shape)
        _check_shapes(tensors, expected, name)
        network.load_state_dict({k: v.float() for k, v in tensors.items()}, assign=True)
    return _finish(network, meaning, rule, "depth_anything")


def _metadata(path: Path) -> dict[str, str]:
    """Read what a safetensors file says of itself."""
    from safetensors import safe_open

    with _as_checkpoint_error(path.name), safe_open(path, "pt") as file:
        return file.metadata() or {}


def _from_mini(path: Path, max_depth_m: float | None, name: str) -> LoadedModel:
    if max_depth_m is not None:
        raise InputError(f"{name} gives relative depth, which has no range; leave max_depth_m out")
    with _as_checkpoint_error(name):
        with torch.device("meta"):
            network = MiniDepth()
        tensors = {key: value.float() for key, value in _read_tensors(path, path.name).items()}
        _check_shapes(tensors, network.state_dict(), name)
        network.load_state_dict(tensors, assign=True)
    network.eval().requires_grad_(requires_grad=False)
    meaning = OutputMeaning(RawOutput.DISPARITY, DepthKind.RELATIVE)
    # So small that converting it costs more than it saves, and its map would be rounded to 8 bits.
    return LoadedModel(network, meaning, MINI_RULE, MINI_ARCHITECTURE, halves_on_cpu=False, soft_edges=True)


def _read_tensors(path: Path, name: str) -> Any:
    with _as_checkpoint_error(name):
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > path.stat().st_size:
                raise CheckpointError(
                    f"{path.name} would unpack to {unpacked:,} bytes, more than the file has; PyTorch never "
                    "compresses: do not trust it"
                )
        return torch.load(path, map_location="cpu", weights_only=True)


def _unwrapped(value: Any, name: str) -> dict[str, torch.Tensor]:
    """Take the tensors out of what training loops wrap around them."""
    for key in ("model", "state_dict"):
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    if not isinstance(value, Mapping) or not value:
        raise CheckpointError(f"{name} holds no tensors by name; give a file of weights")
    state = {str(key).removeprefix("module."): tensor for key, tensor in value.items()}
    for key, tensor in state.items():
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise CheckpointError(f"{name} holds something other than weights under {key!r}; check the file")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{name} claims {tuple(tensor.shape)} numbers for {key!r} and holds fewer; do not trust it"
            )
    return state


def _is_transformers_layout(state: Mapping[str, Any]) -> bool:
    return any(key.startswith("backbone.") for key in state)


def _refuse_contradiction(file_name: str, max_depth_m: float) -> None:
    try:
        named_m = named_max_depth_m(file_name)
    except CheckpointError:
        return
    if named_m is not None and named_m != max_depth_m:
        raise InputError(
            f"max_depth_m={max_depth_m:g} contradicts {file_name}, whose range is {named_m:g} m; leave it out"
        )


def _check_shapes(
    tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], name: str
) -> None:
    wrong = [k for k in expected.keys() & tensors.keys() if expected[k].shape != tensors[k].shape]
    missing, unknown = expected.keys() - tensors.keys(), tensors.keys() - expected.keys()
    if missing or unknown or wrong:
        raise _wrong_tensors(name, sorted(missing), sorted(unknown) + sorted(wrong))


# -- errors -------------------------------------------------------------------------------------


def _wrong_tensors(name: str, missing: list[str], wrong: list[str]) -> CheckpointError:
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing, such as {missing[0]}")
    if wrong:
        parts.append(f"{len(wrong)} that don't fit, such as {wrong[0]}")
    return CheckpointError(
        f"the tensors of {name} are not those of its architecture ({'; '.join(parts)}); fetch it again"
    )


@contextmanager
def _as_checkpoint_error(name: str) -> Iterator[None]:
    """Turn whatever a loader raises over bad files into one sentence."""
    try:
        yield
    except Depth3DError:
        raise
    except ImportError as error:
        raise CheckpointError(f"{name} can't be loaded: {error}; update transformers") from error
    except Exception as error:  # safetensors, pickle, zipfile, torch and transformers have one each
        text = str(error)
        if "weights_only" in text or "Unsupported global" in text or "WeightsUnpickler" in text:
            raise CheckpointError(
                f"{name} is a pickle that holds more than weights, or is damaged; it was not run"
            ) from error
        reason = (text.splitlines() or [""])[0].split(". ")[0][:200]
        if " " not in reason:  # a bare key or number says nothing alone
            reason = f"{type(error).__name__} {reason}".strip()
        raise CheckpointError(f"{name} is damaged or no checkpoint ({reason}); fetch it again") from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence the loader's bar and its table of odd tensors: progress and errors are ours to word."""
    from transformers.utils import logging as transformers_logging

    log = logging.getLogger("transformers")
    level, had_bar = log.level, transformers_logging.is_progress_bar_enabled()
    log.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        log.setLevel(level)
        if had_bar:
            transformers_logging.enable_progress_bar()
