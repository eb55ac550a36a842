"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("ADCR_SHARED_DATA", PROJECT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Root of this repository."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real cohorts, which are never committed; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real cohorts are not here (set ADCR_SHARED_DATA)")
    return SHARED_DATA
