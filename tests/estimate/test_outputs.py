"""What each architecture's numbers mean, from configurations alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from depth3d.core.depth import DepthKind
from depth3d.errors import CheckpointError
from depth3d.estimate.outputs import SUPPORTED_MODEL_TYPES, OutputMeaning, RawOutput, output_meaning

V2_METRIC = {"model_type": "depth_anything", "depth_estimation_type": "metric"}


@pytest.mark.parametrize(
    ("config", "raw", "kind", "max_depth_m"),
    [
        ({"model_type": "depth_anything"}, "disparity", "relative", None),  # version 1 says nothing
        (
            {"model_type": "depth_anything", "depth_estimation_type": "relative"},
            "disparity",
            "relative",
            None,
        ),
        ({**V2_METRIC, "max_depth": 20}, "depth_m", "metric", 20),
        ({**V2_METRIC, "max_depth": 80.0}, "depth_m", "metric", 80),
        ({"model_type": "depth_pro", "use_fov_model": True}, "canonical_inverse", "metric", None),
        ({"model_type": "depth_pro", "use_fov_model": False}, "canonical_inverse", "relative", None),
        ({"model_type": "dpt"}, "disparity", "relative", None),  # MiDaS
        ({"model_type": "dpt", "backbone_config": {"model_type": "beit"}}, "disparity", "relative", None),
        ({"model_type": "dpt", "backbone_config": {"model_type": "dinov2"}}, "depth_m", "metric", None),
        ({"model_type": "glpn", "max_depth": 80}, "depth_m", "metric", 80),
        ({"model_type": "zoedepth"}, "depth_m", "metric", None),
        ({"model_type": "prompt_depth_anything"}, "depth_m", "metric", None),
    ],
)
def test_meanings(config: dict[str, Any], raw: str, kind: str, max_depth_m: float | None) -> None:
    meaning = output_meaning(config, name="x")
    assert (meaning.raw.value, str(meaning.kind), meaning.max_depth_m) == (raw, kind, max_depth_m)
    assert meaning.needs_prompt is (config["model_type"] == "prompt_depth_anything")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model_type": "chmv2"}, "type 'chmv2', .*use one of depth_anything, depth_pro, dpt, glpn"),
        ({"model_type": "bert"}, "zoedepth"),
        ({}, "type None"),
        ({**V2_METRIC, "max_depth": None}, "give max_depth_m"),
        ({**V2_METRIC, "max_depth": 0}, "give max_depth_m"),
        ({"model_type": "depth_anything", "depth_estimation_type": "log"}, "'log'; relative and metric"),
    ],
)
def test_what_can_not_be_read(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        output_meaning(config, name="x")


def test_each_architecture_exists_in_transformers() -> None:
    from importlib import import_module

    for model_type, name in SUPPORTED_MODEL_TYPES.items():
        module = import_module(f"transformers.models.{model_type}.configuration_{model_type}")
        assert any(
            getattr(module, attribute).model_type == model_type
            for attribute in module.__all__
            if hasattr(getattr(module, attribute), "model_type")
        ), name


@pytest.mark.parametrize("fov_x_deg", [20.0, 60.0, 90.0, 130.0])
def test_depth_pro_follows_its_own_post_processing(fov_x_deg: float) -> None:
    """With C = f / (w z), the canonical inverse depth, the true z must come back."""
    width = 640
    focal_px = 0.5 * width / math.tan(math.radians(fov_x_deg) / 2)
    z = torch.tensor([[0.5, 2.0, 37.0, 900.0]])
    canonical = focal_px / (width * z)
    meaning = OutputMeaning(RawOutput.CANONICAL_INVERSE, DepthKind.METRIC)
    torch.testing.assert_close(meaning.from_field(meaning.to_field(canonical, fov_x_deg)), z)


def test_metric_fields_are_inverse_depths_within_bounds() -> None:
    meaning = OutputMeaning(RawOutput.DEPTH_M, DepthKind.METRIC)
    field = meaning.to_field(torch.tensor([[0.0, 0.25, 4.0, 1e9]]), None)
    torch.testing.assert_close(field, torch.tensor([[1e4, 4.0, 0.25, 1e-4]]))
    torch.testing.assert_close(meaning.from_field(field), torch.tensor([[1e-4, 0.25, 4.0, 1e4]]))


def test_disparity_passes_through() -> None:
    values = torch.tensor([[0.0, 3.0]])
    meaning = OutputMeaning(RawOutput.DISPARITY, DepthKind.RELATIVE)
    assert torch.equal(meaning.from_field(meaning.to_field(values, None)), values)
