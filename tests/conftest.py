"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Root of the real COCO and ADE20K samples; the test is skipped where they are not at hand."""
    root = os.environ.get("OVSEG_DATA")
    if not root:
        pytest.skip("set OVSEG_DATA to the folder of real COCO and ADE20K samples to run this test")
    path = Path(root)
    if not path.is_dir():
        pytest.fail(f"OVSEG_DATA names {root}, which is not a folder")
    return path
