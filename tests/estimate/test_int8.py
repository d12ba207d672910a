"""int8: products of bytes are those of a slow reference, losses stay small, and who can't do it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import DeviceError, InputError, ModelError
from depth3d.estimate.alignment import aligned_abs_rel, aligned_error
from depth3d.estimate.backends import choice, installed, int8, openvino_blobs
from depth3d.estimate.backends.artefacts import fingerprint
from depth3d.estimate.backends.graph import write_network
from depth3d.estimate.backends.int8 import INT8_TOLERANCE, equalised, pack_weights, quantise_products
from depth3d.estimate.checkpoints import LoadedModel, load_checkpoint
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.network import trial_image
from depth3d.estimate.registry import MODELS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]
OUTLIERS = (3, 40)
"""Channels that are many times larger than the others, as trained transformers have them."""


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTH3D_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory, tiny_network: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    tiny_network(hidden=64).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def wide(wide_folder: Path) -> LoadedModel:
    """A network with outliers, which its weights undo."""
    loaded = load_checkpoint(wide_folder)
    channels = list(OUTLIERS)
    with torch.no_grad():
        for block in loaded.network.blocks:
            for norm, product in ((block.norm1, block.query_key_value), (block.norm2, block.fc1)):
                norm.weight[channels] *= 60
                norm.bias[channels] *= 60
                product.weight[:, channels] /= 60
    return loaded


def _run(path: Path, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: values})[0]
    return result


def _one_product(path: Path, weights: np.ndarray) -> None:
    helper = onnx.helper
    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", number, ["n", weights.shape[0]])],
        [helper.make_tensor_value_info("y", number, ["n", weights.shape[1]])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))


@pytest.mark.parametrize("narrow", [False, True])
def test_a_product_is_that_of_its_rounded_factors(tmp_path: Path, narrow: bool) -> None:
    """The reference: integers in float64, with a scale for each output and one for the whole input."""
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(24, 10)).astype(np.float32) * np.geomspace(0.01, 10, 10, dtype=np.float32)
    given = draw.normal(0.4, 1, size=(33, 24)).astype(np.float32)
    _one_product(tmp_path / "float.onnx", weights)
    quantise_products(tmp_path / "float.onnx", tmp_path / "int8.onnx", narrow=narrow)

    most = 63 if narrow else 127
    by = np.abs(weights).max(0).astype(np.float64) / most
    scale = float(max(given.max(), 0) - min(given.min(), 0)) / 255
    zero = np.rint(-given.min() / scale)
    levels = np.clip(np.rint(given / scale) + zero, 0, 255) - zero
    expected = (levels @ np.rint(weights / by)) * scale * by
    result = _run(tmp_path / "int8.onnx", given)
    np.testing.assert_allclose(result, expected, rtol=0, atol=2 * scale * np.abs(weights).max())
    assert np.mean(np.abs(result - expected) > 1e-4 * np.abs(expected).max(0)) < 0.05  # a level, at ties
    graph = onnx.load(str(tmp_path / "int8.onnx")).graph
    stored = {part.name: onnx.numpy_helper.to_array(part) for part in graph.initializer}
    assert sorted(stored) == ["w.int8", "w.scale", "w.zero"]
    assert np.abs(stored["w.int8"]).max(0).tolist() == [most] * 10


def test_packed_weights_are_within_half_a_step(tmp_path: Path) -> None:
    weights = np.random.default_rng(1).normal(size=(24, 10)).astype(np.float32)
    weights[:, 4] = 0
    _one_product(tmp_path / "float.onnx", weights)
    pack_weights(tmp_path / "float.onnx", tmp_path / "int8.onnx")
    seen = _run(tmp_path / "int8.onnx", np.eye(24, dtype=np.float32))
    assert np.all(np.abs(seen - weights) <= np.abs(weights).max(0) / 254 + 1e-6)


def test_equalised_networks_give_the_same(wide: LoadedModel) -> None:
    before = fingerprint(wide.network)
    pixels = trial_image(70, 98)
    with torch.inference_mode():
        expected = wide.network(pixel_values=pixels).predicted_depth
        result = equalised(wide.network, wide.rule)(pixel_values=pixels).predicted_depth
    span = float(expected.max() - expected.min())
    assert span > 0.01
    assert float((result - expected).abs().max()) < 1e-4 * span
    assert fingerprint(wide.network) == before  # a copy was changed
    mini = load_checkpoint(MODELS["mini"].shipped)
    assert equalised(mini.network, mini.rule) is mini.network


def test_equalising_is_what_outliers_need(wide: LoadedModel, tmp_path: Path) -> None:
    pixels = trial_image(70, 126)
    with torch.inference_mode():
        expected = wide.network(pixel_values=pixels).predicted_depth
    off = {}
    for name, network in (("as it is", wide.network), ("equalised", equalised(wide.network, wide.rule))):
        write_network(network, tmp_path / "float.onnx")
        quantise_products(tmp_path / "float.onnx", tmp_path / "int8.onnx", narrow=False)
        off[name] = aligned_error(torch.from_numpy(_run(tmp_path / "int8.onnx", pixels.numpy())), expected)
    assert 0 < off["equalised"] < 0.4 * off["as it is"]
    assert off["equalised"] < INT8_TOLERANCE


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_it_is_near_float32(load: Load, wide_folder: Path, photo: Photo, cache: Path, backend: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[backend])
    images = [photo(70, 98), photo(130, 90, seed=1)]
    estimator = load(wide_folder, backend=backend, dtype="int8")
    assert (estimator.dtype, estimator.backend) == (torch.int8, backend)
    assert f"cpu by {backend}, int8" in repr(estimator)
    for found, exact in zip(estimator(images), load(wide_folder)(images), strict=True):
        pair = torch.from_numpy(found.values.copy()), torch.from_numpy(exact.values.copy())
        assert 0 < aligned_error(*pair) < INT8_TOLERANCE
        assert 0 < aligned_abs_rel(*pair) < INT8_TOLERANCE
    suffix = {"onnx": "*.onnx", "openvino": "*.blob"}[backend]
    load(wide_folder, backend=backend, dtype="float32")
    small, large = sorted(file.stat().st_size for file in (cache / backend).glob(suffix))
    assert small < 0.75 * large  # each format has a file of its own


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_pictures_of_a_batch_do_not_share_levels(
    load: Load, wide_folder: Path, photo: Photo, backend: str
) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[backend])
    pale, vivid = photo(70, 98) // 8 + 100, photo(70, 98, seed=1)
    options: dict[str, Any] = {"backend": backend, "dtype": "int8"}
    alone = load(wide_folder, **options)(pale).values
    together = load(wide_folder, batch_size=2, **options)([pale, vivid])[0].values
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5 * np.ptp(alone))


@pytest.mark.parametrize(("can", "rest"), [(["BF16", "FP32", "INT8"], "bf16"), (["FP32", "INT8"], "f32")])
def test_the_rest_is_in_bfloat16_where_that_is_native(
    monkeypatch: pytest.MonkeyPatch, can: list[str], rest: str
) -> None:
    monkeypatch.setattr(openvino_blobs, "abilities", lambda: can)
    assert openvino_blobs.settings_for("i8")["INFERENCE_PRECISION_HINT"] == rest
    assert openvino_blobs.settings_for("f32")["INFERENCE_PRECISION_HINT"] == "f32"


def test_mini_on_its_still_life() -> None:
    """Trained weights. Its convolutions, most of it, stay in float32."""
    from PIL import Image

    picture = Path(__file__).resolve().parents[2] / "samples" / "data" / "still_life.png"
    image = np.asarray(Image.open(picture).convert("RGB").resize((192, 144)))

    def disparity(**options: Any) -> torch.Tensor:
        options |= {"device": "cpu", "input_size": 192, "refine": "none"}
        estimator = DepthEstimator.from_pretrained(MODELS["mini"].shipped, **options)
        return torch.from_numpy(estimator(image).values.copy())

    exact = disparity(backend="torch", dtype="float32")
    assert 0 < aligned_abs_rel(disparity(backend="onnx", dtype="int8"), exact) < 5e-3


def test_what_does_not_bear_it_is_refused_and_not_kept(
    load: Load, tiny_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "INT8_TOLERANCE", -1.0)
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(cache / "other"))
    for _ in range(2):
        with pytest.raises(ModelError, match=r"off by .* % of its span; leave --dtype \(dtype\) out"):
            load(tiny_folder, backend="onnx", dtype="int8")
    assert list((cache / "other" / "onnx").iterdir()) == []


@pytest.mark.parametrize("backend", ["torch", "compile"])
def test_who_has_no_int8_says_so_before_reading(load: Load, backend: str) -> None:
    with pytest.raises(InputError, match=rf"'{backend}' does not compute in int8; use onnx or openvino"):
        load(Path("nowhere"), backend=backend, dtype="int8")


def test_auto_takes_what_is_fast_here(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(*there: str, bytes_: bool = True) -> str:
        missing = [name for name in ("onnx", "openvino") if name not in there]
        monkeypatch.setattr(installed, "missing_modules", lambda name: missing if name in missing else [])
        monkeypatch.setattr(installed, "multiplies_bytes", lambda: bytes_)
        return choice.check_backend("auto", torch.int8)

    assert chosen("onnx", "openvino") == "openvino"
    assert chosen("onnx", "openvino", bytes_=False) == "onnx"
    assert chosen("onnx") == "onnx"
    assert chosen("openvino", bytes_=False) == "openvino"
    with pytest.raises(InputError, match=r"int8 needs ONNX Runtime or OpenVINO; pip install 'depth3d\[onnx"):
        chosen()


def test_it_is_for_processors_and_for_our_networks(
    tiny_folder: Path,
) -> None:
    options = {"name": "x", "dtype": torch.int8, "backend": "onnx"}
    with pytest.raises(DeviceError, match=r"int8 is for processors, not for cuda; use device='cpu'"):
        choice.runnable(load_checkpoint(tiny_folder), device=torch.device("cuda"), **options)
    other = replace(load_checkpoint(tiny_folder), network=torch.nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"and x is neither; leave --dtype \(dtype\) out"):
        choice.runnable(other, device=torch.device("cpu"), **options)
