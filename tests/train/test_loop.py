"""The loop: a killed run ends with the very weights of one that was not, and each law of the recipe holds."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from depth3d.errors import CheckpointError, ModelError
from depth3d.train.loop import Batch, Recipe, relative_objective, train

RECIPE = Recipe(14, 3e-3, 1e-2, warm_up_steps=4, ema_decay=0.8, checkpoint_steps=5)


class Small(torch.nn.Module):
    """Two convolutions, the first of which is the encoder; running statistics, as networks may have them."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.BatchNorm2d(6))
        self.head = torch.nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, pixel_values):
        return SimpleNamespace(predicted_depth=self.head(self.encoder(pixel_values).tanh())[:, 0])


def batches(steps):
    for step in steps:
        draw = torch.Generator().manual_seed(step)
        pixels = torch.rand((2, 3, 12, 16), generator=draw)
        target = pixels[:, 0] - 2 * pixels[:, 1] + 0.3 * pixels[:, 2].roll(1, dims=-1)
        yield Batch(pixels, target, torch.ones_like(target, dtype=torch.bool))


def run(folder, recipe=RECIPE, objective=None, network=None, make=batches, **options):
    network = network or Small()
    return train(network, network.encoder, make, objective or relative_objective(), recipe, folder, **options)


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_identical(a, b):
    a, b = weights(a), weights(b)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def recorded(folder):
    with (folder / "losses.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def dying_at(step):
    def watch(done, steps, losses):
        if done == step:
            raise KeyboardInterrupt

    return watch


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped: its folder and the network that it gave."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


@pytest.mark.parametrize("stops", [(2,), (5,), (7,), (10, 11, 13), (14,)])
def test_a_run_that_was_stopped_and_resumed_ends_with_identical_weights(whole, tmp_path, stops):
    def network():
        return Small(seed=99 if (tmp_path / "checkpoint.pt").exists() else 0)  # a checkpoint brings its own

    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, network=network(), watchers=[dying_at(stop)])
    assert_identical(run(tmp_path, network=network()), whole[1])
    assert recorded(tmp_path) == recorded(whole[0])
    assert [int(row["step"]) for row in recorded(tmp_path)] == list(range(14))


def test_a_kill_in_the_middle_of_writing_leaves_the_checkpoint_before(whole, tmp_path):
    died = subprocess.run([sys.executable, __file__, tmp_path], capture_output=True, timeout=200, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    half = (tmp_path / "checkpoint.partial").read_bytes()
    assert half == b"half of"
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["steps"] == 5
    assert len(recorded(tmp_path)) == 10
    assert_identical(run(tmp_path, network=Small(seed=99)), whole[1])
    assert recorded(tmp_path) == recorded(whole[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "losses.csv"]


def test_a_finished_run_gives_its_result_again_without_a_step(whole):
    folder, network = whole
    before = (folder / "checkpoint.pt").read_bytes()
    assert_identical(run(folder, network=Small(seed=3), watchers=[dying_at(1)]), network)
    assert (folder / "checkpoint.pt").read_bytes() == before


def test_seconds_count_on_after_a_stop(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, watchers=[dying_at(7)])
    lines = (tmp_path / "losses.csv").read_text().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[1], "500.0", 1)
    (tmp_path / "losses.csv").write_text("\n".join(lines) + "\n12,3")  # and a line that was cut short
    run(tmp_path)
    with (tmp_path / "losses.csv").open(newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    assert len(seconds) == 14
    assert 500 <= min(seconds[4:]) <= max(seconds) < 560


def test_the_result_is_the_running_mean_of_the_weights(tmp_path):
    network, passed = Small(), []
    mean = run(tmp_path, network=network, watchers=[lambda *_: passed.append(weights(network))])
    assert len(passed) == 14
    assert not mean.training
    for name, got in mean.state_dict().items():
        if not got.is_floating_point():
            continue
        want = passed[0][name].double()
        for later in passed[1:]:
            want = 0.8 * want + 0.2 * later[name].double()
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-6)
    assert not torch.equal(mean.head.weight, network.head.weight)


def test_rates_rise_in_a_line_and_fall_along_half_a_cosine():
    recipe = Recipe(110, warm_up_steps=10)
    assert [recipe.rate_share(step) for step in range(10)] == pytest.approx([s / 10 for s in range(1, 11)])
    for step in range(10, 130):
        want = 0.5 + 0.5 * math.cos(math.pi * min(1, (step - 10) / 100))
        assert recipe.rate_share(step) == pytest.approx(want, abs=1e-6)
    assert Recipe(5, warm_up_steps=0).rate_share(0) == 1


def test_encoder_and_decoder_take_their_own_rates(tmp_path):
    """AdamW's first step moves every weight by its rate, whatever the gradient (Kingma and Ba, 2015)."""
    network = Small()
    before = weights(network)
    recipe = Recipe(1, 1e-4, 1e-2, warm_up_steps=2, weight_decay=0.0)
    run(tmp_path, recipe, network=network)
    moved = {name: (network.state_dict()[name] - before[name]).abs() for name in before}
    torch.testing.assert_close(moved["head.weight"].median(), torch.tensor(0.5e-2), rtol=1e-3, atol=0)
    torch.testing.assert_close(moved["encoder.0.weight"].median(), torch.tensor(0.5e-4), rtol=1e-2, atol=0)


def test_training_learns(tmp_path):
    run(tmp_path, Recipe(150, 3e-2, 3e-2, warm_up_steps=10, checkpoint_steps=1000))
    losses = [sum(float(row[name]) for name in ("invariant", "gradient")) for row in recorded(tmp_path)]
    assert sum(losses[-10:]) < 0.2 * sum(losses[:10])


def test_watchers_and_inspectors_are_told(tmp_path):
    told, shown = [], []
    mean = run(
        tmp_path,
        watchers=[lambda done, steps, losses: told.append((done, steps, set(losses)))],
        inspect=lambda step, network: shown.append((step, network, network.training)),
    )
    assert told == [(k, 14, {"invariant", "gradient"}) for k in range(1, 15)]
    assert shown == [(5, mean, False), (10, mean, False), (14, mean, False)]


def test_bfloat16_stays_near(whole, tmp_path):
    run(tmp_path, Recipe(**{**{f: getattr(RECIPE, f) for f in RECIPE.__slots__}, "bfloat16": True}))
    for got, want in zip(recorded(tmp_path), recorded(whole[0]), strict=True):
        assert float(got["invariant"]) == pytest.approx(float(want["invariant"]), rel=0.1)


def test_a_loss_that_is_not_finite_stops_the_run_before_it_spoils_the_weights(tmp_path):
    steps_seen = []

    def objective(prediction, batch):
        steps_seen.append(None)
        return {"loss": prediction.mean() * (math.nan if len(steps_seen) == 8 else 1.0)}

    network = Small()
    with pytest.raises(ModelError, match=r"diverged.*nan.*lower rates"):
        run(tmp_path, objective=objective, network=network)
    assert all(torch.isfinite(value).all() for value in weights(network).values())
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["steps"] == 5


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", "half", "other"])
def test_a_checkpoint_that_does_not_fit_is_an_error_that_names_it(whole, tmp_path, damage):
    path = tmp_path / "checkpoint.pt"
    good = (whole[0] / "checkpoint.pt").read_bytes()
    if damage == "other":
        torch.save({"steps": 5, "network": {"weight": torch.zeros(3)}}, path)
    else:
        path.write_bytes(good[: len(good) // 2] if damage == "half" else damage)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is damaged or of another network; remove it"):
        run(tmp_path)


def main(folder: Path) -> None:
    """Train, and die in the middle of writing the second checkpoint."""
    real, written = torch.save, []

    def save(state: object, path: Path) -> None:
        written.append(path)
        if len(written) == 2:
            Path(path).write_bytes(b"half of")
            os.kill(os.getpid(), signal.SIGKILL)
        real(state, path)

    torch.save = save
    run(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
