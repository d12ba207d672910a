"""What is blended beside silhouettes has the same bits with any number of threads, and wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import depth3d as d3
from depth3d.core.color import to_linear, to_srgb
from depth3d.render import silhouettes
from depth3d.render.projection import Projection
from depth3d.render.sheets import Sheet
from depth3d.render.silhouettes import Backdrop
from depth3d.synthetic import place

COUNT = 40_001


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("curve", [silhouettes._linear, silhouettes._srgb])
@pytest.mark.parametrize("start", [1, 7, 20_011])
def test_curves_round_alike_wherever_a_number_lies(curve, start, threads):
    values = torch.rand(COUNT, generator=torch.Generator().manual_seed(0))
    values *= 255 if curve is silhouettes._linear else 1
    torch.set_num_threads(1)
    whole = curve(values)
    torch.set_num_threads(2)
    assert torch.equal(curve(values), whole)
    assert torch.equal(curve(values[start:]), whole[start:])


def test_curves_are_those_of_srgb():
    levels = torch.arange(256, dtype=torch.float32)
    light = silhouettes._linear(levels.view(16, 16)).view(-1)
    np.testing.assert_allclose(light.numpy(), to_linear(np.arange(256, dtype=np.uint8)), rtol=1e-5)
    steps = torch.linspace(-0.1, 1.1, 1001)
    assert np.abs(silhouettes._srgb(steps).numpy().astype(int) - to_srgb(steps.numpy())).max() <= 1
    assert torch.equal(silhouettes._srgb(light), levels.to(torch.uint8))


def test_the_backdrop_is_met_alike_with_any_number_of_threads(threads):
    camera = d3.Camera.from_fov(331, 247, 50)
    rng = np.random.default_rng(2)  # whose sum depends on how it is shared out
    q = rng.uniform(0.1, 0.9, (247, 331)).astype(np.float32)
    everywhere = np.ones(q.shape, np.bool_)
    color = rng.integers(0, 256, (*q.shape, 3), dtype=np.uint8)
    sheet = Sheet(color, q, everywhere.astype(np.float32), everywhere, everywhere)
    projection = Projection.between(camera, place(0.8, 0.3, 0.2, yaw_deg=5), camera)
    u, v = (torch.from_numpy(rng.uniform(0, side, COUNT).astype(np.float32)) for side in camera.size_wh)
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(Backdrop(sheet, torch.device("cpu")).hit(projection, u, v))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))
