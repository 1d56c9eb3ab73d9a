"""Fixtures that every part shares."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No test is about time: a busy machine is no error.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def lob_data_dir() -> Path:
    """Folder of the real data sets (LOB_DATA_DIR); skips with a reason where it is absent."""
    value = os.environ.get("LOB_DATA_DIR")
    if not value:
        pytest.skip("LOB_DATA_DIR is not set: the real data files are not at hand")
    path = Path(value)
    if not path.is_dir():
        pytest.skip(f"LOB_DATA_DIR={value} is not a folder")
    return path
