"""What can't be fine-tuned is said in one sentence, with what to do."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import depth3d
from depth3d.core.depth import DepthMap
from depth3d.errors import DeviceError, FileError, InputError, OutputExistsError
from depth3d.train import finetune as module
from depth3d.train.finetune import finetune
from depth3d.train.run_folder import RunFolder
from depth3d.train.settings import FinetuneSettings

QUICK = FinetuneSettings(steps=2, batch_size=4)


def run(base, data, out, settings=QUICK, **options):
    return finetune(base, data, out, settings, device="cpu", **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_depth_m": 20}, r"add --metric"),
        ({"metric": True, "max_depth_m": 0}, r"max_depth_m must be a whole number of at least 1, got 0"),
        (
            {"metric": True, "max_depth_m": 2.5},
            r"whole number of at least 1, got 2\.5",
        ),  # transformers wants int
        ({"input_size": 500}, r"multiple of 14, got 500; use 504"),
        ({"input_size": 3}, r"multiple of 14, got 3; use 14"),
        ({"steps": 0}, r"steps must be a whole number of at least 1"),
        ({"batch_size": True}, r"batch_size must be a whole number"),
        ({"warm_up_steps": -1}, r"warm_up_steps must be a whole number of at least 0"),
        ({"encoder_rate": -1e-5}, r"encoder_rate must be 0 or more"),
        ({"decoder_rate": float("nan")}, r"decoder_rate must be 0 or more"),
        ({"epochs": 0}, r"epochs must be more than 0"),
        ({"validation_share": 1.0}, r"validation_share must lie between 0 and 1"),
        ({"synthetic_share": 1.0}, r"synthetic_share must be at least 0 and less than 1"),
        ({"ema_decay": 1.0}, r"ema_decay must be at least 0 and less than 1"),
        ({"dtype": "float16"}, r"float32 or bfloat16"),
        ({"depth_kind": "inverse"}, r"relative or metric"),
    ],
)
def test_settings_out_of_range_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        FinetuneSettings(**given)


@pytest.mark.parametrize(
    ("given", "photos", "steps", "warm_up", "decay"),
    [
        ({}, 40, 100, 10, 0.9),  # 10 epochs of 10 batches
        ({"epochs": 1.0}, 41, 11, 1, 1 / 11),
        ({"steps": 30_000}, 40, 30_000, 100, 0.999),
        ({"steps": 4}, 40, 4, 0, 0.0),  # too short for a mean: the last weights
        ({"steps": 50, "warm_up_steps": 7, "ema_decay": 0.5}, 40, 50, 7, 0.5),
    ],
)
def test_a_recipe_follows_from_the_number_of_photos(given, photos, steps, warm_up, decay):
    recipe = FinetuneSettings(**given).recipe(photos)
    assert (recipe.steps, recipe.warm_up_steps) == (steps, warm_up)
    assert recipe.ema_decay == pytest.approx(decay)
    assert (recipe.encoder_rate, recipe.decoder_rate, recipe.bfloat16) == (5e-6, 5e-5, False)


def test_bfloat16_reaches_the_recipe():
    assert FinetuneSettings(dtype="bfloat16").recipe(10).bfloat16


def test_one_photo_is_too_few(tiny_folder, floors, tmp_path):
    for name in ("0.png", "0_depth.npz"):
        shutil.copy(floors / name, tmp_path)
    with pytest.raises(InputError, match=r"one photo with depth.*give two or more"):
        run(tiny_folder, tmp_path, tmp_path.parent / "out")


def test_results_never_land_in_what_is_read(tiny_folder, floors, tmp_path):
    with pytest.raises(InputError, match=r"in the directory of the photos; give another"):
        run(tiny_folder, floors, floors / "out")
    with pytest.raises(InputError, match=r"in the directory of the base network; give another"):
        run(tiny_folder, floors, tiny_folder, overwrite=True)
    with pytest.raises(InputError, match=r"in the directory of the base network; give another"):
        run(tiny_folder / "model.safetensors", floors, tiny_folder, overwrite=True)
    assert not (floors / "out").exists()
    assert not (tiny_folder / "training").exists()


def test_other_peoples_files_are_left_alone(tiny_folder, floors, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(OutputExistsError, match=r"other files; give a new directory"):
        run(tiny_folder, floors, tmp_path)
    run(tiny_folder, floors, tmp_path, overwrite=True)
    assert (tmp_path / "diary.txt").read_text() == "dear diary"
    with pytest.raises(FileError, match=r"is a file; give a directory"):
        run(tiny_folder, floors, tmp_path / "diary.txt")


def test_damaged_settings_can_only_be_overwritten(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"steps": 3})
    (tmp_path / "training" / "checkpoint.pt").touch()
    assert folder.check({"steps": 3}, overwrite=False)
    assert not folder.check({"steps": 4}, overwrite=True)
    (tmp_path / "training" / "settings.json").write_text('{"steps": ')
    with pytest.raises(FileError, match=r"can't read .*settings\.json.*--overwrite"):
        folder.check({"steps": 3}, overwrite=False)
    assert not folder.check({"steps": 3}, overwrite=True)


def test_a_run_without_a_checkpoint_binds_to_nothing(tmp_path):
    RunFolder(tmp_path).begin({"batch_size": 8})
    assert not RunFolder(tmp_path).check({"batch_size": 4}, overwrite=False)


def test_metric_networks_stay_metric(tiny_network, floors, tmp_path):
    tiny_network(kind="metric", max_depth=20).save_pretrained(tmp_path / "base")
    with pytest.raises(InputError, match=r"gives metres; add --metric"):
        run(tmp_path / "base", floors, tmp_path / "out")
    result = run(
        tmp_path / "base", floors, tmp_path / "out", FinetuneSettings(metric=True, steps=1, input_size=70)
    )
    assert result.max_depth_m == 20


def test_relative_depth_teaches_no_metres(tiny_folder, floors, tmp_path):
    for i in range(3):
        shutil.copy(floors / f"{i}.png", tmp_path)
        depth3d.save(DepthMap(np.ones((70, 70)), "relative"), tmp_path / f"{i}_depth.npz")
    with pytest.raises(InputError, match=r"relative, and metric training needs metres"):
        run(tiny_folder, tmp_path, tmp_path.parent / "out", FinetuneSettings(metric=True, steps=1))


def test_depth_beyond_the_range_is_no_depth(tiny_folder, floors, tmp_path):
    for i in range(3):
        shutil.copy(floors / f"{i}.png", tmp_path)
        depth3d.save(
            DepthMap(np.full((70, 70), 1500.0), "metric"), tmp_path / f"{i}_depth.npz"
        )  # millimetres
    with pytest.raises(InputError, match=r"within 20 m; check the files' unit"):
        run(tiny_folder, tmp_path, tmp_path.parent / "out", FinetuneSettings(metric=True, steps=1))


@pytest.mark.parametrize(
    ("stored", "settings", "message"),
    [
        (0, FinetuneSettings(steps=1), r"no depth is known in the photos kept.*check depth files"),
        (65000, FinetuneSettings(metric=True, steps=1), r"no depth within 20 m is known.*--png-scale"),
    ],
)
def test_where_nothing_is_known_nothing_is_trained(
    tiny_folder, tiny_network, floors, tmp_path, stored, settings, message
):
    data, base = tmp_path / "data", tmp_path / "base"
    data.mkdir()
    tiny_network(kind="metric" if settings.metric else "relative", max_depth=20).save_pretrained(base)
    shutil.copy(tiny_folder / "preprocessor_config.json", base)
    for i in range(2):
        shutil.copy(floors / f"{i}.png", data)
        cv2.imwrite(str(data / f"{i}_depth.png"), np.full((70, 70), stored, np.uint16))
    with pytest.raises(InputError, match=message):
        run(base, data, tmp_path / "out", settings)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_last_layer_is_refitted_to_photos_from_all_over_the_folder(tiny_folder, floors, tmp_path):
    """The first eight photos show nothing within reach, and the others do."""
    for i in range(20):
        shutil.copy(floors / f"{i % 8}.png", tmp_path / f"{i:02}.png")
        far = DepthMap(np.full((70, 70), 500.0 if i < 10 else 2.0), "metric")
        depth3d.save(far, tmp_path / f"{i:02}_depth.npz")
    settings = FinetuneSettings(metric=True, steps=1, batch_size=1, validation_share=0.2)
    assert run(tiny_folder, tmp_path, tmp_path.parent / "out", settings).max_depth_m == 20


def test_other_families_are_refused(floors, tmp_path, monkeypatch):
    from dataclasses import replace

    from depth3d.train import base

    load = base.load_checkpoint
    monkeypatch.setattr(
        base, "load_checkpoint", lambda *a, **k: replace(load(*a, **k), model_type="zoedepth")
    )
    with pytest.raises(InputError, match=r"is a zoedepth network, and only Depth Anything can be fine-tuned"):
        run(tiny_base(tmp_path), floors, tmp_path / "out")


def tiny_base(folder):
    from transformers.models.depth_anything import DepthAnythingConfig, DepthAnythingForDepthEstimation

    DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config={
                "model_type": "dinov2", "hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 1,
                "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False, "image_size": 70,
            },
            reassemble_hidden_size=8, neck_hidden_sizes=[8] * 4, fusion_hidden_size=8, head_hidden_size=8,
        )
    ).save_pretrained(folder / "base")  # fmt: skip
    return folder / "base"


@pytest.mark.parametrize(
    ("batch_size", "advice"), [(4, "--batch-size 2"), (1, "a smaller --input-size or model")]
)
def test_too_little_memory_is_said_with_advice(
    tiny_folder, floors, tmp_path, monkeypatch, batch_size, advice
):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(module, "train", full)
    with pytest.raises(
        DeviceError, match=rf"out of memory on cpu with {batch_size} photos of 70 x 70.*{advice}"
    ):
        run(tiny_folder, floors, tmp_path / "out", FinetuneSettings(steps=2, batch_size=batch_size))


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that"),
            DeviceError,
            r"killed.*shared memory is short; use --workers 0",
        ),
        (OSError(28, "No space left on device"), FileError, r"No space left on device; .*same command"),
    ],
)
def test_what_the_system_stops_is_one_sentence(
    tiny_folder, floors, tmp_path, monkeypatch, raised, kind, message
):
    def stopped(*args, **kwargs):
        raise raised

    monkeypatch.setattr(module, "train", stopped)
    with pytest.raises(kind, match=message):
        run(tiny_folder, floors, tmp_path / "out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_afterwards(
    tiny_folder, floors, tmp_path, monkeypatch
):
    save = torch.save
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda state, path: save(state, "/dev/full"))
        with pytest.raises(FileError, match=r"checkpoint could not be written; free space"):
            run(tiny_folder, floors, tmp_path / "out")
    assert (run(tiny_folder, floors, tmp_path / "out").folder / "model.safetensors").exists()


def test_what_a_worker_could_not_read_is_one_sentence(tiny_folder, floors, tmp_path):
    shutil.copytree(floors, tmp_path / "data")
    settings = FinetuneSettings(steps=2, batch_size=8, validation_share=0.1, seed=1)
    kept = module._photos(tmp_path / "data", settings)[1].photos[0].stem
    for i in range(8):
        if str(i) != kept:
            (tmp_path / "data" / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with pytest.raises(FileError, match=r"\d\.png") as caught:
        run(tiny_folder, tmp_path / "data", tmp_path / "out", settings, workers=1)
    assert "\n" not in str(caught.value)
    assert "Error" not in str(caught.value)


def test_a_stop_while_saving_costs_nothing(tiny_folder, floors, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_network", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_folder, floors, tmp_path / "out")
    seen = []
    result = run(tiny_folder, floors, tmp_path / "out", watch=lambda *step: seen.append(step))
    assert seen == []
    assert (result.folder / "model.safetensors").exists()
