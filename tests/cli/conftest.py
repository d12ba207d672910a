"""A small photo with its depth on disk, and a way to run the command line."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from depth3d_cli.main import cli

WIDTH, HEIGHT = 48, 36


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `depth3d ...` in an empty directory; the result has stdout, stderr and exit_code apart."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(cli, [str(word) for word in words], prog_name="depth3d")

    return call


@pytest.fixture
def photo(tmp_path) -> Path:
    """A 48x36 photo with a different colour in every pixel."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([u * 5, v * 7, (u + v) * 3], axis=-1).astype(np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), image[..., ::-1])
    return path


@pytest.fixture
def depth_mm(tmp_path) -> Path:
    """A slanted plane, 1/z affine in the pixels, as a 16-bit PNG in millimetres; one pixel unknown."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    z_m = 1 / (0.3 + 0.002 * u + 0.004 * v)
    millimetres = np.rint(1000 * z_m).astype(np.uint16)
    millimetres[0, 0] = 0
    path = tmp_path / "depth.png"
    cv2.imwrite(str(path), millimetres)
    return path


@pytest.fixture
def disparity(tmp_path) -> Path:
    """A relative map as an 8-bit picture, near is bright."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    path = tmp_path / "disparity.png"
    cv2.imwrite(str(path), (40 + 2 * u + v).astype(np.uint8))
    return path
