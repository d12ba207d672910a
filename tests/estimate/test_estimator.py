"""`DepthEstimator` on a tiny network with the real architecture."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import (
    CheckpointError,
    DeviceError,
    InputError,
    ModelUnavailableError,
    NeedsMetricError,
    UnknownModelError,
)
from depth3d.estimate import estimator as estimator_module
from depth3d.estimate import network as network_module
from depth3d.estimate.alignment import align_affine, aligned_error
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.network import DepthNetwork
from depth3d.estimate.outputs import OutputMeaning, RawOutput
from depth3d.estimate.registry import MODELS
from depth3d.estimate.upsample import upsample

Photo = Callable[..., np.ndarray]


def load(folder: Path, **options: Any) -> DepthEstimator:
    return DepthEstimator.from_pretrained(
        folder, **({"device": "cpu", "dtype": "float32", "input_size": 70} | options)
    )


# -- one image ----------------------------------------------------------------------------------


def test_the_raw_output_equals_transformers_on_the_same_image(
    estimator: DepthEstimator, tiny_network: Callable[..., Any], photo: Photo
) -> None:
    """The law: float32, an image of the network's own size, transformers' processor and model."""
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    image = photo(70, 98)
    processor = DPTImageProcessorPil(
        size={"height": 70, "width": 70},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    with torch.inference_mode():
        theirs = tiny_network()(**processor(images=image, return_tensors="pt")).predicted_depth[0]
    ours = estimator(image).values  # the upsampling is the identity here
    assert np.ptp(ours) > 0.5
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4)


def test_the_difference_of_the_two_resizers_is_small(
    estimator: DepthEstimator, tiny_network: Callable[..., Any], photo: Photo
) -> None:
    """On a picture that has to shrink: Pillow and transformers against ours, as a share of the span."""
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    image = photo(240, 320)
    processor = DPTImageProcessorPil(
        size={"height": 70, "width": 70},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    with torch.inference_mode():
        theirs = tiny_network()(**processor(images=image, return_tensors="pt")).predicted_depth[0]
    theirs_large = upsample(theirs, (240, 320))
    assert aligned_error(torch.from_numpy(estimator(image).values.copy()), theirs_large) < 2e-3


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 300), (300, 2), (69, 71), (240, 320)])
def test_each_map_has_the_size_of_its_image(
    estimator: DepthEstimator, photo: Photo, height: int, width: int
) -> None:
    depth = estimator(photo(height, width))
    assert depth.size_wh == (width, height)
    assert depth.kind is DepthKind.RELATIVE
    assert depth.valid.all()
    assert depth.values.min() >= 0


def test_the_output_follows_the_input(estimator: DepthEstimator, photo: Photo) -> None:
    a, b = estimator(photo(90, 120)), estimator(photo(90, 120, seed=1))
    assert a.values.std() > 0.1
    assert np.abs(a.values - b.values).max() > 0.1
    assert np.array_equal(a.values, estimator(photo(90, 120)).values)


def test_images_are_not_touched(estimator: DepthEstimator, photo: Photo) -> None:
    image = photo(90, 120)
    before = image.copy()
    estimator(image)
    assert np.array_equal(image, before)
    assert image.flags.writeable


def test_views_and_locked_arrays_are_taken(estimator: DepthEstimator, photo: Photo) -> None:
    image = photo(90, 240)
    turned = image[:, ::-2]  # negative strides
    locked = np.ascontiguousarray(turned)
    locked.flags.writeable = False
    assert np.array_equal(estimator(turned).values, estimator(locked).values)


# -- many images --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_mixed_sizes_come_back_in_order(tiny_folder: Path, photo: Photo, batch_size: int) -> None:
    sizes = [(90, 120), (50, 200), (45, 60), (200, 50), (90, 120), (30, 30)]
    images = [photo(*size, seed=i) for i, size in enumerate(sizes)]
    estimator = load(tiny_folder, batch_size=batch_size)
    maps = estimator(images)
    assert [(m.height, m.width) for m in maps] == sizes
    for image, depth in zip(images, maps, strict=True):
        np.testing.assert_allclose(depth.values, estimator(image).values, rtol=1e-4, atol=1e-5)


def test_batches_hold_one_network_size_and_no_more_than_asked(
    tiny_folder: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
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
    tiny_folder: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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


def test_a_network_that_does_not_fit_says_so(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crowded(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch.nn.Module, "to", crowded)
    with pytest.raises(DeviceError, match=r"does not fit into the memory of cpu.*smaller model"):
        load(tiny_folder)


def test_streams_look_ahead_by_one_batch_at_most(tiny_folder: Path, photo: Photo) -> None:
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


# -- number formats -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_close(tiny_folder: Path, photo: Photo, dtype: str) -> None:
    image = photo(90, 120)
    reference = torch.from_numpy(load(tiny_folder)(image).values.copy())
    estimator = load(tiny_folder, dtype=dtype)
    assert str(estimator.dtype) == f"torch.{dtype}"
    result = torch.from_numpy(estimator(image).values.copy())
    assert 0 < aligned_error(result, reference) < 2e-2


def test_auto_falls_back_to_float32_where_half_precision_is_off(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimator_module, "preferred_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(network_module, "HALF_PRECISION_TOLERANCE", 1.0)
    assert load(tiny_folder, dtype="auto").dtype is torch.bfloat16
    monkeypatch.setattr(network_module, "HALF_PRECISION_TOLERANCE", 1e-9)
    assert load(tiny_folder, dtype="auto").dtype is torch.float32
    monkeypatch.setattr(estimator_module, "preferred_dtype", lambda device: torch.float32)
    assert load(tiny_folder, dtype="auto").dtype is torch.float32


def test_an_overflow_goes_on_in_float32(
    tiny_folder: Path, photo: Photo, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = load(tiny_folder, dtype="float16")
    estimator._network._network.head.max_depth = 60_000.0  # beyond half precision's 65,504
    with caplog.at_level(logging.WARNING, logger="depth3d"):
        depth = estimator(photo(60, 80))
    assert "overflowed" in caplog.text
    assert estimator.dtype is torch.float32
    assert depth.valid.all()
    assert depth.values.max() > 65_504


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_real_small_architecture_stays_within_1e_2(dtype: torch.dtype) -> None:
    """24.8 million random weights with a healthy range, at a size that two cores manage."""
    import math

    from transformers.models.depth_anything import DepthAnythingConfig, DepthAnythingForDepthEstimation

    with torch.device("meta"):
        network = DepthAnythingForDepthEstimation(DepthAnythingConfig())
    network = network.to_empty(device="cpu").eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(24.8e6, rel=0.01)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("lambda1"):
                weight.fill_(0.1)
            elif "norm" in name and name.endswith("weight"):
                weight.fill_(1.0)
            elif "embeddings" in name and "patch" not in name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=draw))
            elif weight.ndim >= 2:
                weight.normal_(0, 1 / math.sqrt(weight[0].numel()), generator=draw)
            else:
                weight.zero_()
        network.head.conv3.weight.abs_()
        network.head.conv3.bias.fill_(0.5)
        pixels = network_module._trial_image(8 * 14, 11 * 14)
        reference = network(pixels).predicted_depth
        result = network.to(dtype)(pixels.to(dtype)).predicted_depth.float()
    assert float(reference.std()) > 0.05
    assert 0 < aligned_error(result, reference) < 1e-2


# -- augmentation and refinement ----------------------------------------------------------------


def test_flip_is_the_mean_of_both_ways_after_alignment(tiny_folder: Path, photo: Photo) -> None:
    image = photo(70, 98)  # the network's own size: nothing is resampled
    plain = load(tiny_folder)
    there, back = plain([image, np.ascontiguousarray(image[:, ::-1])], output="torch")
    expected = (there + align_affine(back.flip(-1), there)) / 2
    result = load(tiny_folder, tta="flip")(image, output="torch")[0]
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_flip_of_a_metric_network_is_exactly_symmetric(
    tmp_path: Path, tiny_network: Callable[..., Any], photo: Photo
) -> None:
    tiny_network(kind="metric", max_depth=20).save_pretrained(tmp_path)
    image = photo(70, 98)
    estimator = load(tmp_path, tta="flip")
    there, back = estimator(image), estimator(np.ascontiguousarray(image[:, ::-1]))
    assert there.is_metric
    assert 0 < there.values.min() < there.values.max() < 20
    np.testing.assert_allclose(back.values[:, ::-1], there.values, rtol=1e-4)


@pytest.mark.parametrize(("tta", "shown"), [("flip", 2), ("multiscale", 3), ("flip+multiscale", 6)])
def test_views_are_shown_and_averaged(
    tiny_folder: Path, photo: Photo, tta: str, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    original = DepthNetwork.run

    def spy(self: DepthNetwork, batch: Any) -> Any:
        sizes.extend(item.size_hw for item in batch)
        return original(self, batch)

    monkeypatch.setattr(DepthNetwork, "run", spy)
    estimator = load(tiny_folder, tta=tta)
    images = [photo(90, 120), photo(60, 60)]
    maps = estimator(images)
    assert len(sizes) == 2 * shown
    assert [m.size_wh for m in maps] == [(120, 90), (60, 60)]
    plain = load(tiny_folder)(images)
    assert all(np.abs(a.values - b.values).max() > 1e-3 for a, b in zip(maps, plain, strict=True))


def test_refinement_stays_within_the_map(tiny_folder: Path, photo: Photo) -> None:
    image = photo(180, 240)
    plain, refined = load(tiny_folder)(image), load(tiny_folder, refine="guided")(image)
    assert np.abs(refined.values - plain.values).max() > 1e-3
    assert refined.values.min() >= 0.9 * plain.values.min()
    assert refined.values.max() <= 1.1 * plain.values.max()


# -- kinds --------------------------------------------------------------------------------------


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


# -- names and arguments ------------------------------------------------------------------------


def test_what_it_says_of_itself(estimator: DepthEstimator, tiny_folder: Path) -> None:
    assert estimator.name == estimator.card.name == tiny_folder.name
    assert str(estimator.kind) == "relative"
    assert repr(estimator) == f"DepthEstimator({tiny_folder.name}, relative, cpu, float32, input 70)"


def test_a_known_name_goes_through_the_hub_and_says_its_licence_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []
    hub = sys.modules["depth3d.estimate.hub"]
    monkeypatch.setattr(hub, "fetch", lambda card: (asked.append(card.hub_id), tiny_folder)[1])
    estimator_module._say_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="depth3d"):
        for name in ("vitb", "base", "small", "someone/else"):
            load(name)  # type: ignore[arg-type]
    assert asked == [MODELS["base"].hub_id] * 2 + [MODELS["small"].hub_id, "someone/else"]
    assert caplog.messages == ["base is licensed CC-BY-NC-4.0: not for commercial use"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("smal", UnknownModelError),
        ("./nowhere", UnknownModelError),
        ("nowhere/vits.pth", CheckpointError),
        (Path("nowhere"), CheckpointError),
        ("", UnknownModelError),
        ("x" * 5000, UnknownModelError),
        ("~nobody.of.this.name/network", UnknownModelError),
        (Path("x" * 5000), UnknownModelError),
    ],
)
def test_names_that_lead_nowhere(name: str | Path, error: type[Exception]) -> None:
    with pytest.raises(error):
        DepthEstimator.from_pretrained(name, device="cpu")


def test_without_weights_it_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from depth3d.estimate import hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "cached_folder", lambda card: None)
    with pytest.raises(ModelUnavailableError, match="--depth FILE"):
        DepthEstimator.from_pretrained("small", device="cpu")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"device": "gpu"}, DeviceError, "must be auto"),
        ({"dtype": "int8"}, InputError, "dtype must be one of"),
        ({"input_size": 0}, InputError, "input_size"),
        ({"input_size": 518.5}, InputError, "input_size"),
        ({"batch_size": 0}, InputError, "batch_size must be a whole number"),
        ({"batch_size": 2.5}, InputError, "batch_size must be a whole number"),
        ({"batch_size": "many"}, InputError, "batch_size must be a whole number"),
        ({"tta": "rotate"}, InputError, "tta must be None or one of"),
        ({"refine": "bicubic"}, InputError, "refine must be None or 'guided'"),
        ({"max_tokens": 1}, InputError, "max_tokens"),
        ({"max_depth_m": 20}, InputError, "contradicts"),
    ],
)
def test_options_that_are_refused(
    tiny_folder: Path, options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        load(tiny_folder, **options)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((4, 4, 4), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((4, 4, 3), np.float32), "uint8"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)], r"images\[1\]"),
        ("photo.jpg", "got str; open files with depth3d.load_image"),
        (None, "got NoneType"),
    ],
)
def test_images_that_are_refused(estimator: DepthEstimator, images: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        estimator(images)


def test_other_outputs_are_refused(estimator: DepthEstimator, photo: Photo) -> None:
    with pytest.raises(InputError, match="'depth' or 'torch', got 'pil'"):
        estimator(photo(4, 4), output="pil")  # type: ignore[call-overload]
    prompt = DepthMap(np.ones((3, 4), np.float32), "metric")
    with pytest.raises(InputError, match="takes no prompt"):
        estimator(photo(4, 4), prompt=prompt)


# -- prompts ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> DepthEstimator:
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


# -- other architectures ------------------------------------------------------------------------


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
    tmp_path: Path, photo: Photo, make: Callable[[], Any], side: int | None, kind: str, largest_m: float
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


@pytest.mark.gpu
def test_on_a_gpu_it_is_float16_and_agrees(tiny_folder: Path, photo: Photo) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    images = [photo(90, 120), photo(50, 200), photo(90, 120, seed=1)]
    estimator = load(tiny_folder, device="cuda", dtype="auto")
    assert estimator.dtype is torch.float16
    exact = load(tiny_folder, device="cuda")(images, output="torch")
    assert all(tensor.is_cuda for tensor in exact)
    for half, full, cpu in zip(
        estimator(images, output="torch"), exact, load(tiny_folder)(images, output="torch"), strict=True
    ):
        assert aligned_error(half, full) < 1e-2
        assert aligned_error(full.cpu(), cpu) < 1e-2


def test_out_of_memory_at_the_size_of_the_image_is_a_sentence(estimator, photo, monkeypatch):
    def exhausted(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(sys.modules[type(estimator).__module__], "upsample", exhausted)
    with pytest.raises(DeviceError, match="smaller images"):
        estimator(photo(40, 50))
