"""`DepthEstimator` on one image: a tiny network with the real architecture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.core.depth import DepthKind
from depth3d.estimate.alignment import aligned_error
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.upsample import upsample

Photo = Callable[..., np.ndarray]


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


def test_what_it_says_of_itself(estimator: DepthEstimator, tiny_folder: Path) -> None:
    assert estimator.name == estimator.card.name == tiny_folder.name
    assert str(estimator.kind) == "relative"
    assert repr(estimator) == f"DepthEstimator({tiny_folder.name}, relative, cpu, float32, input 70)"
