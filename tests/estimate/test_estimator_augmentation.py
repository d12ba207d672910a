"""`DepthEstimator` with test-time augmentation and with refinement."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.estimate.alignment import align_affine
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.network import DepthNetwork

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]


def test_flip_is_the_mean_of_both_ways_after_alignment(load: Load, tiny_folder: Path, photo: Photo) -> None:
    image = photo(70, 98)  # the network's own size: nothing is resampled
    plain = load(tiny_folder)
    there, back = plain([image, np.ascontiguousarray(image[:, ::-1])], output="torch")
    expected = (there + align_affine(back.flip(-1), there)) / 2
    result = load(tiny_folder, tta="flip")(image, output="torch")[0]
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_flip_of_a_metric_network_is_exactly_symmetric(
    load: Load, tmp_path: Path, tiny_network: Callable[..., Any], photo: Photo
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
    load: Load, tiny_folder: Path, photo: Photo, tta: str, shown: int, monkeypatch: pytest.MonkeyPatch
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


def test_refinement_stays_within_the_map(load: Load, tiny_folder: Path, photo: Photo) -> None:
    image = photo(180, 240)
    plain, refined = load(tiny_folder)(image), load(tiny_folder, refine="guided")(image)
    assert np.abs(refined.values - plain.values).max() > 1e-3
    assert refined.values.min() >= 0.9 * plain.values.min()
    assert refined.values.max() <= 1.1 * plain.values.max()
