from __future__ import annotations

import json

import pytest
import torch

from ovseg.encoders import dino_architectures
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.conv_stem import ConvStem
from ovseg.encoders.dino import DINO
from ovseg.encoders.dino_architectures import DINOArchitecture, get_dino_architecture
from ovseg.errors import CheckpointMismatchError, ConfigError


def test_a_name_of_timm_is_left_alone():
    name = "vit_base_patch8_224"
    assert get_dino_architecture(name) == DINOArchitecture(name)


def test_a_packaged_name(tmp_path, monkeypatch):
    monkeypatch.setattr(dino_architectures, "nano_file", lambda name: tmp_path / name)
    sizes = dict(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2)
    description = {"timm_model": "vit_small_patch16_224", "overrides": sizes}
    (tmp_path / "nano-x.json").write_text(json.dumps(description))
    assert get_dino_architecture("nano-x") == DINOArchitecture("vit_small_patch16_224", sizes)

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


def test_convolutions_in_front(tmp_path, monkeypatch):
    monkeypatch.setattr(dino_architectures, "nano_file", lambda name: tmp_path / name)
    sizes = dict(img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=2)
    description = dict(timm_model="vit_small_patch16_224", overrides=sizes, stem=[4, 8, 16])
    (tmp_path / "nano-x.json").write_text(json.dumps(description))
    with pytest.warns(RandomWeightsWarning):
        dino = DINO("nano-x", pretrained=None)
    stem = dino.vit.patch_embed.proj
    assert isinstance(stem, ConvStem)
    assert [layer.out_channels for layer in stem if hasattr(layer, "stride")] == [4, 8, 16, 24]
    assert dino.features(torch.randn(1, 3, 16, 40)).grid == (2, 5)

    # Weights of a model without them are another model's.
    with pytest.warns(RandomWeightsWarning):
        plain = DINO("vit_small_patch16_224", pretrained=None, overrides=sizes)
    torch.save(plain.vit.state_dict(), tmp_path / "plain.pt")
    with pytest.raises(CheckpointMismatchError, match="patches of one convolution"):
        DINO("nano-x", weights=str(tmp_path / "plain.pt"))


def test_a_packaged_model_of_another_kind():
    with pytest.raises(ConfigError, match="'nano-vit-8' is a packaged model, but not a DINO"):
        get_dino_architecture("nano-vit-8")


def test_the_packaged_dino():
    with pytest.warns(RandomWeightsWarning):
        dino = DINO("nano-dino-8", pretrained=None)
    assert dino.patch_size == 8
    assert dino.features(torch.randn(1, 3, 64, 32)).grid == (8, 4)
