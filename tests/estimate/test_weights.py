"""The published networks on a picture with known answers, where weights and picture are on disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.hub import cached_folder
from depth3d.estimate.registry import MODELS

pytestmark = pytest.mark.weights

# COCO val 000000039769 (640x480) at 518x686: predicted_depth[0, :3, :3] of the published checkpoints.
REFERENCE = {
    "small": [[2.6751, 2.6211, 2.6571], [2.5820, 2.6138, 2.6271], [2.6160, 2.6141, 2.6306]],
    "metric-indoor-small": [[1.3349, 1.2946, 1.2801], [1.2793, 1.2337, 1.2899], [1.2629, 1.2218, 1.2476]],
}


def _folder(name: str) -> Path:
    folder = cached_folder(MODELS[name])
    if folder is None:
        pytest.skip(
            f"the weights of {name} are not in the Hugging Face cache: depth3d models download {name}"
        )
    return folder


@pytest.mark.parametrize("name", list(REFERENCE))
def test_reference_values(name: str) -> None:
    folder = _folder(name)
    picture = os.environ.get("DEPTH3D_COCO_39769")
    if not picture:
        pytest.skip("DEPTH3D_COCO_39769 does not name COCO's val2017/000000039769.jpg")
    from PIL import Image

    from depth3d.estimate.preprocess import network_size, to_network

    with Image.open(picture) as opened:
        image = np.asarray(opened.convert("RGB"))
    loaded = load_checkpoint(folder)
    size = network_size(loaded.rule, *image.shape[:2], input_size=518, max_tokens=4096)
    assert size == (518, 686)
    with torch.inference_mode():
        pixels = to_network(image, loaded.rule, size, torch.device("cpu"))
        result = loaded.network(pixel_values=pixels).predicted_depth[0, :3, :3]
    # The picture has to grow from 480 rows to 518: what the two bicubic resizers differ by.
    np.testing.assert_allclose(result.numpy(), REFERENCE[name], rtol=1e-2)


def test_the_pinned_hash() -> None:
    folder = _folder("small")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert digest == MODELS["small"].sha256
