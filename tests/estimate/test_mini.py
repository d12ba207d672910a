"""`mini`: what it is, what it promises, and that it comes with the package."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr

import depth3d as d3
from depth3d.errors import CheckpointError, InputError, ModelUnavailableError, UnknownModelError
from depth3d.estimate import hub
from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.hub import download, fetch, is_cached, locate_weights
from depth3d.estimate.mini import MINI_RULE, MiniDepth, save_mini
from depth3d.estimate.preprocess import network_size
from depth3d.estimate.registry import MODELS, ModelCard, model_card
from depth3d.evaluate import score

MINI = MODELS["mini"]
DATA = Path(__file__).resolve().parents[2] / "samples" / "data"
Photo = Callable[..., np.ndarray]


@pytest.fixture
def fresh_process() -> Iterator[None]:
    """Forget that `auto` was asked for before."""
    hub._fetched_or_mini.cache_clear()
    yield
    hub._fetched_or_mini.cache_clear()


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, fresh_process: None) -> list[str]:
    """Nothing is cached and nothing can be fetched; gives the names that were asked for."""
    asked: list[str] = []

    def nothing(card: ModelCard, **_: object) -> Path:
        asked.append(card.name)
        raise ModelUnavailableError("the weights are not here")

    monkeypatch.setattr(hub, "cached_folder", lambda card: None)
    monkeypatch.setattr(hub, "download", nothing)
    return asked


@pytest.fixture(scope="module")
def mini() -> DepthEstimator:
    """The shipped network."""
    return DepthEstimator.from_pretrained("mini", device="cpu")


@pytest.fixture(scope="module")
def network() -> MiniDepth:
    """The same architecture with other weights, alive in every layer."""
    torch.manual_seed(0)
    return MiniDepth().eval()


def test_it_is_small(network: MiniDepth) -> None:
    parameters = sum(weight.numel() for weight in network.parameters())
    assert parameters == MINI.parameters
    assert parameters <= 6_000_000
    assert MINI.shipped is not None
    assert MINI.shipped.stat().st_size <= 13_000_000
    with safe_open(MINI.shipped, "pt") as file:
        assert file.metadata() == {"format": "pt", "architecture": "depth3d-mini"}
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118


def test_it_knows_the_shipped_still_life(mini: DepthEstimator) -> None:
    truth = d3.load_depth(DATA / "still_life_depth.png")
    depth = mini(d3.load_image(DATA / "still_life.png"))
    near, far = depth.values[::8, ::8], truth.values[::8, ::8]
    known = np.isfinite(far)
    assert spearmanr(near[known], 1 / far[known]).statistic > 0.8


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 500), (500, 33), (96, 128), (241, 319)])
def test_photos_of_any_size(mini: DepthEstimator, photo: Photo, height: int, width: int) -> None:
    depth = mini(photo(height, width))
    assert depth.size_wh == (width, height)
    assert not depth.is_metric
    assert depth.valid.all()
    assert depth.values.min() > 0


@pytest.mark.parametrize(
    ("image_hw", "input_size", "expected"),
    [
        ((480, 640), 384, (288, 384)),
        ((640, 480), 384, (384, 288)),
        ((1080, 1920), 384, (224, 384)),  # 216 is rounded to the nearest multiple of 32
        ((100, 100), 384, (384, 384)),
        ((10, 4000), 384, (32, 384)),
        ((480, 640), 400, (288, 384)),
        ((480, 640), 640, (480, 640)),
        ((480, 640), 14, (32, 32)),
    ],
)
def test_the_longer_side_is_given(
    image_hw: tuple[int, int], input_size: int, expected: tuple[int, int]
) -> None:
    assert network_size(MINI_RULE, *image_hw, input_size=input_size, max_tokens=4096) == expected


def test_its_own_size_is_the_default(mini: DepthEstimator, load: Callable[..., DepthEstimator]) -> None:
    assert mini.input_size == 384
    assert MINI.shipped is not None
    assert load(MINI.shipped, input_size=None).input_size == 384
    assert load(MINI.shipped, input_size=256).input_size == 256


def test_the_network_keeps_the_size_of_its_input(network: MiniDepth) -> None:
    with torch.inference_mode():
        out = network(pixel_values=torch.randn(2, 3, 64, 160)).predicted_depth
    assert out.shape == (2, 64, 160)
    assert out.dtype == torch.float32
    assert bool((out > 0).all())


def test_images_of_a_batch_do_not_see_each_other(network: MiniDepth) -> None:
    pixels = torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together = network(pixel_values=pixels).predicted_depth
        alone = torch.cat([network(pixel_values=one[None]).predicted_depth for one in pixels])
    assert float(together.std()) > 1e-4
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_every_part_of_the_picture_reaches_every_other() -> None:
    """Through the attention alone: the picture is longer than the convolutions see."""
    assert MINI.shipped is not None
    network = load_checkpoint(MINI.shipped).network
    pixels = torch.randn(1, 3, 64, 2048, generator=torch.Generator().manual_seed(1))
    changed = pixels.clone()
    changed[..., :64] *= -1

    def far_change() -> float:
        with torch.inference_mode():
            one, two = (network(pixel_values=p).predicted_depth for p in (pixels, changed))
        return float((one - two)[..., -64:].abs().max())

    assert far_change() > 0
    network.attend = torch.nn.Identity()
    assert far_change() == 0


def test_bfloat16_inside_does_not_round_the_map(network: MiniDepth) -> None:
    pixels = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        out = network(pixel_values=pixels).predicted_depth
    # All values of a map that spans less than a factor of two have 128 levels in bfloat16.
    assert float(out.max() / out.min()) < 2
    assert out.unique().numel() > 1000


def test_it_stays_in_float32_on_a_processor(mini: DepthEstimator) -> None:
    assert mini.dtype == torch.float32


def test_a_saved_network_is_read_back(network: MiniDepth, tmp_path: Path) -> None:
    save_mini(network, tmp_path / "mine.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.safetensors"]
    loaded = load_checkpoint(tmp_path / "mine.safetensors")
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    halves = MiniDepth().eval()
    halves.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()})
    with torch.inference_mode():
        assert torch.equal(
            loaded.network(pixel_values=pixels).predicted_depth, halves(pixel_values=pixels).predicted_depth
        )
    assert (loaded.rule, loaded.meaning.kind) == (MINI_RULE, d3.DepthKind.RELATIVE)


def test_a_file_goes_by_what_it_says_and_not_by_its_neighbours(network: MiniDepth, tmp_path: Path) -> None:
    save_mini(network, tmp_path / "mine.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "depth_anything"}')
    assert load_checkpoint(tmp_path / "mine.safetensors").rule is MINI_RULE


def test_damaged_files(tmp_path: Path) -> None:
    assert MINI.shipped is not None
    tensors = load_file(MINI.shipped)
    whole = MINI.shipped.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cut"):
        load_checkpoint(tmp_path / "cut.safetensors")
    del tensors["encoder.stem.weight"]
    save_file(tensors, tmp_path / "less.safetensors", metadata={"architecture": "depth3d-mini"})
    with pytest.raises(CheckpointError, match=r"less.*stem\.weight"):
        load_checkpoint(tmp_path / "less.safetensors")
    with pytest.raises(InputError, match="max_depth_m"):
        load_checkpoint(MINI.shipped, max_depth_m=20)


def test_it_needs_neither_transformers_nor_the_hub() -> None:
    code = (
        "import sys, numpy as np, depth3d as d3\n"
        "d3.estimate(np.zeros((40, 60, 3), np.uint8), model='mini', device='cpu')\n"
        "sys.exit(bool({'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_is_always_here() -> None:
    assert is_cached(MINI)
    assert fetch(MINI) == MINI.shipped
    assert download(MINI) == MINI.shipped
    assert MINI.facts()["hub_id"] is None


def test_auto_takes_small_where_it_can(
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fresh_process: None,
) -> None:
    monkeypatch.setattr(hub, "fetch", lambda card: tiny_folder)
    with caplog.at_level(logging.WARNING, logger="depth3d"):
        assert locate_weights("auto") == (MODELS["small"], tiny_folder)
        assert DepthEstimator.from_pretrained(device="cpu", dtype="float32").name == "small"
    assert caplog.messages == []


def test_auto_falls_back_to_mini_and_says_so_once(
    no_hub: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="depth3d"):
        assert DepthEstimator.from_pretrained(" Auto ", device="cpu").name == "mini"
        assert DepthEstimator.from_pretrained("auto", device="cpu", input_size=128).name == "mini"
    assert no_hub == ["small"]  # no second wait for a hub that does not answer
    assert len(caplog.messages) == 1
    assert "mini" in caplog.messages[0]
    assert "depth3d models download small" in caplog.messages[0]
    with pytest.raises(ModelUnavailableError):
        DepthEstimator.from_pretrained("small", device="cpu")


def test_auto_sees_what_was_fetched_meanwhile(
    no_hub: list[str], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locate_weights("auto")[0] is MINI
    monkeypatch.setattr(hub, "cached_folder", lambda card: tiny_folder)
    assert locate_weights("auto") == (MODELS["small"], tiny_folder)


def test_auto_does_without_a_download_that_arrives_damaged(
    no_hub: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def damaged(card: ModelCard) -> Path:
        raise CheckpointError("model.safetensors arrived damaged")

    monkeypatch.setattr(hub, "download", damaged)
    with caplog.at_level(logging.INFO, logger="depth3d"):
        assert locate_weights("auto")[0] is MINI
    assert any("arrived damaged" in message for message in caplog.messages)
    with pytest.raises(CheckpointError, match="arrived damaged"):
        locate_weights("small")


def test_auto_is_no_network_to_fetch() -> None:
    with pytest.raises(UnknownModelError, match="give 'small' or 'mini'"):
        model_card("AUTO")


def test_averaging_views_works_with_it(photo: Photo) -> None:
    plain = DepthEstimator.from_pretrained("mini", device="cpu", input_size=128)
    averaged = DepthEstimator.from_pretrained("mini", device="cpu", input_size=128, tta="flip+multiscale")
    image = photo(96, 128)

    def agreement(estimator: DepthEstimator) -> float:
        """Correlate the map of the photo with that of its mirror image, mirrored back."""
        mirrored = estimator(np.ascontiguousarray(image[:, ::-1])).values[:, ::-1]
        return float(np.corrcoef(estimator(image).values.ravel(), mirrored.ravel())[0, 1])

    # Both flips are in the mean of the views; what is left comes from aligning each view to the first.
    assert 1 - agreement(averaged) < 0.3 * (1 - agreement(plain))


def test_the_photo_sharpens_its_edges(mini: DepthEstimator) -> None:
    image = d3.load_image(DATA / "still_life.png")
    guided, plain = (
        DepthEstimator.from_pretrained("mini", device="cpu", refine=how)(image) for how in ("guided", "none")
    )
    np.testing.assert_array_equal(mini(image).values, guided.values)
    truth = d3.load_depth(DATA / "still_life_depth.png")
    assert score(guided, truth).boundary_f1 > 1.5 * score(plain, truth).boundary_f1
