"""Random weights that make a model's parts matter."""

from __future__ import annotations

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def _seeded():
    """The same random images in every run, whatever the order of tests."""
    torch.manual_seed(0)


@pytest.fixture
def widen():
    """Draw a model's parameters wide.

    As models start out, attention is flat and layer scale near 0, so that wrong positions, keys
    or scales would pass unseen.
    """

    def draw(model: nn.Module, seed: int = 0, std: float = 0.3) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                wide = torch.randn(parameter.shape, generator=generator) * std
                parameter.copy_(wide if parameter.ndim > 1 else 1 + wide)
        return model

    return draw
