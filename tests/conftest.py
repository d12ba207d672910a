"""Fixtures that every test may use."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real photos, depth maps and cameras beside the repository; skips where it is not."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the folder shared/data is not here: {SHARED_DATA}")
    return SHARED_DATA
