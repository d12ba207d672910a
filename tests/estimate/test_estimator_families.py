"""`DepthEstimator` on other architectures: prompts, fields of view, metric and relative kinds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import (
    InputError,
    NeedsMetricError,
)
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.network import DepthNetwork
from depth3d.estimate.outputs import OutputMeaning, RawOutput

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]


def test_depth_pro_hands_its_field_of_view_on(estimator: DepthEstimator, photo: Photo) -> None:
    class Answer:
        predicted_depth = torch.full((1, 70, 98), 0.25)  # canonical inverse depth
        field_of_view = torch.tensor([90.0])

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pixel_values: torch.Tensor) -> Answer:
            return Answer()

    meaning = OutputMeaning(RawOutput.CANONICAL_INVERSE, DepthKind.METRIC)
    estimator._meaning = meaning
    estimator._network = DepthNetwork(Network(), meaning, estimator._rule, estimator.device)
    prediction = estimator.predict(photo(60, 80))
    assert prediction.fov_x_deg == pytest.approx(90)
    np.testing.assert_allclose(prediction.depth.values, 2.0, rtol=1e-6)  # 1 / (2 * 0.25 * tan 45)
    assert "fov_x 90.0 deg" in repr(prediction)


def test_other_networks_give_no_field_of_view(estimator: DepthEstimator, photo: Photo) -> None:
    predictions = estimator.predict([photo(60, 80), photo(30, 30)])
    assert [p.fov_x_deg for p in predictions] == [None, None]
    assert [p.depth.size_wh for p in predictions] == [(80, 60), (30, 30)]


@pytest.fixture(scope="module")
def prompted(load: Load, tmp_path_factory: pytest.TempPathFactory) -> DepthEstimator:
    """A tiny Prompt Depth Anything."""
    from transformers.models.prompt_depth_anything import (
        PromptDepthAnythingConfig,
        PromptDepthAnythingForDepthEstimation,
    )

    torch.manual_seed(0)
    config = PromptDepthAnythingConfig(
        backbone_config={
            "model_type": "dinov2",
            "image_size": 70,
            "hidden_size": 8,
            "num_hidden_layers": 4,
            "num_attention_heads": 1,
            "out_indices": [1, 2, 3, 4],
            "patch_size": 14,
            "reshape_hidden_states": False,
        },
        reassemble_hidden_size=8,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type="metric",
    )
    folder = tmp_path_factory.mktemp("prompted")
    network = PromptDepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim >= 2:
                weight.normal_(0, weight[0].numel() ** -0.5)
    network.save_pretrained(folder)
    return load(folder)


def test_a_prompt_sets_the_range(prompted: DepthEstimator, photo: Photo) -> None:
    v = np.linspace(1.5, 3.5, 12, dtype=np.float32)
    prompt = DepthMap(np.repeat(v[:, None], 16, 1), "metric")
    depth, again = prompted([photo(90, 120)] * 2, prompt=[prompt, prompt])
    assert depth.is_metric
    assert 1.5 < depth.values.min() < depth.values.max() < 3.5
    np.testing.assert_allclose(depth.values, again.values, rtol=1e-5)


def test_a_constant_prompt_is_that_constant(prompted: DepthEstimator, photo: Photo) -> None:
    depth = prompted(photo(60, 80), prompt=DepthMap(np.full((5, 6), 2.0, np.float32), "metric"))
    np.testing.assert_allclose(depth.values, 2.0, rtol=1e-5)


def test_prompts_that_are_refused(prompted: DepthEstimator, photo: Photo) -> None:
    image = photo(60, 80)
    with pytest.raises(InputError, match="needs a prompt"):
        prompted(image)
    with pytest.raises(NeedsMetricError, match="a prompt needs metric depth"):
        prompted(image, prompt=DepthMap(np.ones((3, 3), np.float32), "relative"))
    with pytest.raises(InputError, match="known everywhere"):
        prompted(image, prompt=DepthMap(np.array([[1, np.nan]], np.float32), "metric"))
    with pytest.raises(InputError, match="2 images and 1 prompts"):
        prompted([image, image], prompt=[DepthMap(np.ones((3, 3), np.float32), "metric")])


def _tiny_glpn() -> Any:
    from transformers.models.glpn import GLPNConfig, GLPNForDepthEstimation

    return GLPNForDepthEstimation(
        GLPNConfig(
            hidden_sizes=(8, 8, 16, 16),
            depths=(1, 1, 1, 1),
            num_attention_heads=(1, 1, 1, 1),
            mlp_ratios=(1, 1, 1, 1),
            decoder_hidden_size=8,
            max_depth=10,
        )
    )


def _tiny_dpt() -> Any:
    from transformers.models.dpt import DPTConfig, DPTForDepthEstimation

    return DPTForDepthEstimation(
        DPTConfig(
            hidden_size=8,
            num_hidden_layers=4,
            num_attention_heads=1,
            intermediate_size=8,
            backbone_out_indices=[0, 1, 2, 3],
            image_size=64,
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            is_hybrid=False,
        )
    )


def _tiny_zoedepth() -> Any:
    from transformers.models.zoedepth import ZoeDepthConfig, ZoeDepthForDepthEstimation

    return ZoeDepthForDepthEstimation(
        ZoeDepthConfig(
            backbone_config={
                "model_type": "beit",
                "image_size": 64,
                "hidden_size": 16,
                "num_hidden_layers": 4,
                "num_attention_heads": 2,
                "intermediate_size": 16,
                "out_indices": [1, 2, 3, 4],
                "reshape_hidden_states": False,
                "use_relative_position_bias": True,
            },
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            bottleneck_features=8,
            num_relative_features=8,
            bin_embedding_dim=8,
            num_attractors=[4, 2, 2, 1],
            bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
        )
    )


def _tiny_depth_pro() -> Any:
    from transformers.models.depth_pro import DepthProConfig, DepthProForDepthEstimation

    backbone = {
        "model_type": "dinov2",
        "image_size": 32,
        "patch_size": 8,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
    }
    return DepthProForDepthEstimation(
        DepthProConfig(
            fusion_hidden_size=8,
            patch_size=32,
            intermediate_hook_ids=[1, 0],
            intermediate_feature_dims=[8, 8],
            scaled_images_ratios=[0.5, 1.0],
            scaled_images_overlap_ratios=[0.0, 0.2],
            scaled_images_feature_dims=[8, 8],
            use_fov_model=True,
            image_model_config=backbone,
            patch_model_config=backbone,
            fov_model_config=backbone,
        )
    )


@pytest.mark.parametrize(
    ("make", "side", "kind", "largest_m"),
    [
        (_tiny_glpn, None, "metric", 10.0),
        (_tiny_dpt, 64, "relative", np.inf),
        (_tiny_zoedepth, 64, "metric", 10.001),
        (_tiny_depth_pro, 64, "metric", 1.001e4),
    ],
)
def test_other_architectures_run(
    load: Load,
    tmp_path: Path,
    photo: Photo,
    make: Callable[[], Any],
    side: int | None,
    kind: str,
    largest_m: float,
) -> None:
    torch.manual_seed(0)
    make().save_pretrained(tmp_path)
    settings = {} if side is None else {"size": {"height": side, "width": side}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    prediction = load(tmp_path).predict(photo(70, 100))
    assert (str(prediction.depth.kind), prediction.depth.size_wh) == (kind, (100, 70))
    assert prediction.depth.valid.all()
    assert prediction.depth.values.max() < largest_m
    assert (prediction.fov_x_deg is not None) is (make is _tiny_depth_pro)
    with pytest.raises(InputError, match="use 'flip'"):
        load(tmp_path, tta="multiscale")
