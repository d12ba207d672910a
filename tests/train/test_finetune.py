"""Fine-tuning learns, and what it writes is what it learned, here and in `transformers`."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import depth3d
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError, OutputExistsError
from depth3d.estimate.estimator import DepthEstimator
from depth3d.evaluate.scores import score
from depth3d.train import finetune as module
from depth3d.train.finetune import finetune
from depth3d.train.settings import FinetuneSettings

RATES = {"encoder_rate": 1e-2, "decoder_rate": 1e-2, "validation_share": 0.25, "exact": True}
PIXELS = torch.randn(2, 3, 70, 84, generator=torch.Generator().manual_seed(0))


def learned(base, data, out, settings):
    """Fine-tune; give the result and what the network in memory said before it was written."""
    said = []

    def save(network, *args, **kwargs):
        with torch.inference_mode():
            said.append(network.cpu()(pixel_values=PIXELS).predicted_depth)
        return save_network(network, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        save_network = module.save_network
        patch.setattr(module, "save_network", save)
        result = finetune(base, data, out, settings, device="cpu")
    return result, said[0]


@pytest.fixture(scope="module")
def relative(tiny_folder, floors, tmp_path_factory):
    return learned(
        tiny_folder, floors, tmp_path_factory.mktemp("runs") / "out",
        FinetuneSettings(steps=80, checkpoint_steps=50, **RATES),
    )  # fmt: skip


@pytest.fixture(scope="module")
def metric(tiny_folder, floors, tmp_path_factory):
    return learned(
        tiny_folder, floors, tmp_path_factory.mktemp("runs") / "out",
        FinetuneSettings(metric=True, max_depth_m=10, steps=120, **RATES),
    )  # fmt: skip


@pytest.fixture(params=["relative", "metric"])
def run(request):
    return request.getfixturevalue(request.param)


def test_the_loss_falls_by_more_than_half(run, losses_of):
    result, _ = run
    losses = losses_of(result.folder)
    assert len(losses) == result.steps
    assert losses[:5].mean() > 0.3
    assert losses[-10:].mean() < 0.4 * losses[:5].mean()


def test_photos_that_were_kept_from_training_are_understood_better(run):
    result, _ = run
    assert (result.photos, result.validation_photos) == (6, 2)
    assert abs(result.before["spearman"]) < 0.5
    assert result.after["spearman"] > 0.95


def test_metres_come_out_where_metres_went_in(metric, floors):
    result, _ = metric
    estimator = DepthEstimator.from_pretrained(result.folder, device="cpu", dtype="float32")
    assert (result.kind, str(estimator.kind), result.max_depth_m) == ("metric", "metric", 10)
    seen = []
    for i in range(8):
        truth = depth3d.load_depth(floors / f"{i}_depth.npz").values
        truth = DepthMap(np.where(truth <= 10, truth, np.nan), "metric")
        seen.append(score(estimator(depth3d.load_image(floors / f"{i}.png")), truth).abs_rel)
    assert sorted(seen)[3] < 0.2  # of the photos that it learned from, without any alignment


def test_both_libraries_give_what_the_network_in_memory_gave(run):
    from transformers import AutoModelForDepthEstimation

    result, said = run
    assert float(said.std()) > 0.01
    loaded = AutoModelForDepthEstimation.from_pretrained(result.folder)
    with torch.inference_mode():
        theirs = loaded(pixel_values=PIXELS).predicted_depth
    np.testing.assert_allclose(theirs, said, rtol=1e-5, atol=1e-6)

    estimator = DepthEstimator.from_pretrained(result.folder, device="cpu", dtype="float32")
    assert estimator.input_size == 70
    image = np.random.default_rng(0).integers(0, 256, (70, 84, 3)).astype(np.uint8)
    mean, std = (np.array(v, np.float32) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    pixels = torch.from_numpy(((image.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None])
    with torch.inference_mode():
        theirs = loaded(pixel_values=pixels).predicted_depth[0].numpy()
    np.testing.assert_allclose(estimator(image).values, theirs, rtol=1e-4, atol=1e-5)


def test_the_directory_holds_a_model_and_the_history_of_its_training(run):
    result, _ = run
    names = {path.name for path in result.folder.iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "preprocessor_config.json", "training"}
    assert len({path.stat().st_mode for path in result.folder.iterdir() if path.is_file()}) == 1
    training = result.folder / "training"
    assert {path.name for path in training.iterdir()} == {
        "losses.csv", "settings.json", "sheet.png", "validation.csv",
    }  # fmt: skip
    with (training / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == ([0, 50, 80] if result.kind == "relative" else [0, 120])
    for name, value in result.after.items():
        assert float(rows[-1][name]) == pytest.approx(value, abs=1e-5)
    assert cv2.imread(str(training / "sheet.png")).shape == (2 * 324 - 4, 3 * 324 - 4, 3)
    config = json.loads((result.folder / "config.json").read_text())
    assert config["depth_estimation_type"] == result.kind
    assert config["max_depth"] == (result.max_depth_m or 1)
    assert type(config["max_depth"]) is int


class StopError(Exception):
    pass


def stop_after(last):
    def watch(step, steps, losses):
        if step == last:
            raise StopError

    return watch


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_weights(tiny_folder, floors, tmp_path):
    settings = FinetuneSettings(steps=12, checkpoint_steps=4, synthetic_share=0.3, batch_size=2)
    whole = finetune(tiny_folder, floors, tmp_path / "whole", settings, device="cpu")
    for last in (3, 6, 11):
        with pytest.raises(StopError):
            finetune(tiny_folder, floors, tmp_path / "out", settings, device="cpu", watch=stop_after(last))
        assert not (tmp_path / "out" / "model.safetensors").exists()
    other = FinetuneSettings(steps=12, checkpoint_steps=4, synthetic_share=0.3, batch_size=3)
    with pytest.raises(InputError, match=r"has batch_size 2, not 3; give the same settings .* --overwrite"):
        finetune(tiny_folder, floors, tmp_path / "out", other, device="cpu")
    steps = []
    parts = finetune(
        tiny_folder,
        floors,
        tmp_path / "out",
        settings,
        device="cpu",
        watch=lambda *seen: steps.append(seen[0]),
    )
    assert steps == [9, 10, 11, 12]
    assert parts.before == pytest.approx(whole.before, abs=1e-5, nan_ok=True)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (parts.folder, whole.folder))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for name in ("losses.csv", "validation.csv"):
        one, two = ((folder / "training" / name).read_text() for folder in (parts.folder, whole.folder))
        assert [line.split(",")[0] for line in one.splitlines()] == [
            line.split(",")[0] for line in two.splitlines()
        ]


def test_nothing_is_replaced_unless_asked(tiny_folder, floors, tmp_path):
    out, settings = tmp_path / "out", FinetuneSettings(steps=1, batch_size=1)
    finetune(tiny_folder, floors, out, settings, device="cpu")
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(OutputExistsError, match=r"finished network.*--overwrite"):
        finetune(tiny_folder, floors, out, settings, device="cpu")
    assert (out / "model.safetensors").read_bytes() == before
    (out / ".saving.killed").mkdir()
    finetune(tiny_folder, floors, out, FinetuneSettings(steps=2, batch_size=1), device="cpu", overwrite=True)
    assert not (out / ".saving.killed").exists()
    assert (out / "model.safetensors").read_bytes() != before
    assert len((out / "training" / "losses.csv").read_text().splitlines()) == 3


def test_with_no_rate_nothing_changes(tiny_folder, floors, tmp_path):
    settings = FinetuneSettings(steps=3, batch_size=1, encoder_rate=0.0, decoder_rate=0.0)
    result = finetune(tiny_folder, floors, tmp_path / "out", settings, device="cpu")
    ours, base = load_file(result.folder / "model.safetensors"), load_file(tiny_folder / "model.safetensors")
    assert ours.keys() == base.keys()
    for name, value in base.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-6, atol=0)
    assert result.after == pytest.approx(result.before, abs=1e-5)
