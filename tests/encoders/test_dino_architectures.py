from __future__ import annotations

import json

import pytest
import torch

from ovseg.encoders import dino_architectures
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.dino import DINO
from ovseg.encoders.dino_architectures import get_dino_architecture
from ovseg.errors import ConfigError


def test_a_name_of_timm_is_left_alone():
    assert get_dino_architecture("vit_base_patch8_224") == ("vit_base_patch8_224", {})


def test_a_packaged_name(tmp_path, monkeypatch):
    monkeypatch.setattr(dino_architectures, "nano_file", lambda name: tmp_path / name)
    sizes = dict(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2)
    description = {"timm_model": "vit_small_patch16_224", "overrides": sizes}
    (tmp_path / "nano-x.json").write_text(json.dumps(description))
    assert get_dino_architecture("nano-x") == ("vit_small_patch16_224", sizes)

    with pytest.warns(RandomWeightsWarning, match="'nano-x'"):
        dino = DINO("nano-x", pretrained=None)
    assert (dino.patch_size, dino.embed_dim, dino.num_heads) == (8, 24, 2)
    assert dino.fingerprint == "nano-x/random"
    state = dino.features(torch.randn(1, 3, 16, 24))
    assert state.k.shape == (1, 2, 6, 12)

    # Sizes given by the caller come on top.
    with pytest.warns(RandomWeightsWarning):
        dino = DINO("nano-x", pretrained=None, overrides={"depth": 1})
    assert len(dino.vit.blocks) == 1
    assert dino.embed_dim == 24
    assert dino.fingerprint == "nano-x[depth=1]/random"


def test_a_packaged_model_of_another_kind():
    with pytest.raises(ConfigError, match="'nano-vit-8' is a packaged model, but not a DINO"):
        get_dino_architecture("nano-vit-8")


def test_the_packaged_dino():
    with pytest.warns(RandomWeightsWarning):
        dino = DINO("nano-dino-4", pretrained=None)
    assert dino.patch_size == 4
    assert dino.features(torch.randn(1, 3, 64, 32)).grid == (16, 8)
