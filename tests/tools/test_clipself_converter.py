"""Checkpoints of CLIPSelf, ours and the authors', as a CLIP of open_clip."""

from __future__ import annotations

import runpy
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file

from ovseg.apis.training import train_model
from ovseg.encoders import CLIPViT
from ovseg.errors import CheckpointMismatchError
from tests.segmentors.distillers.run import clipself_config
from tests.timm_clips import timm_clip

TOOL = Path(__file__).parents[2] / "tools" / "model_converters" / "clipself.py"
convert = runpy.run_path(str(TOOL))["convert"]

pytestmark = pytest.mark.filterwarnings("ignore::ovseg.encoders.base.RandomWeightsWarning")


def authors_names(name: str) -> str:
    """A tensor of open_clip's EVA02 as EVA-CLIP and CLIPSelf call it, written down by hand."""
    for ours, theirs in (
        ("visual.trunk.", "visual."),
        ("attn.q_proj.bias", "attn.q_bias"),
        ("attn.v_proj.bias", "attn.v_bias"),
        ("attn.norm.", "attn.inner_attn_ln."),
        ("mlp.fc1_g.", "mlp.w1."),
        ("mlp.fc1_x.", "mlp.w2."),
        ("mlp.norm.", "mlp.ffn_ln."),
        ("mlp.fc2.", "mlp.w3."),
    ):
        name = name.replace(ours, theirs)
    return name


def test_the_authors_layout(tmp_path):
    config = timm_clip("eva02")
    model = open_clip.CustomTextCLIP(**{k: v for k, v in config.items() if k != "name"}).eval()
    state = {authors_names(name): value for name, value in model.state_dict().items()}
    assert "visual.blocks.0.mlp.w3.weight" in state and "visual.cls_token" in state
    state["visual.rope.freqs_cos"] = torch.zeros(16, 8)
    state["visual.blocks.0.attn.rope.freqs_sin"] = torch.zeros(16, 8)
    torch.save({"epoch": 6, "state_dict": state}, tmp_path / "authors.pt")
    said = convert(tmp_path / "authors.pt", tmp_path / "clip.safetensors")
    assert said.endswith("2 computed ones left out")
    assert set(load_file(tmp_path / "clip.safetensors")) == set(model.state_dict())
    tower = CLIPViT(config, pretrained=None, weights=tmp_path / "clip.safetensors")
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(tower(images), model.encode_image(images))


def test_a_checkpoint_of_a_training(tmp_path):
    # Packaged weights: the tool has to find the same teacher.
    nano = dict(type="CLIPViT", model="nano-vit-8", pretrained="ovseg")
    config = clipself_config(tmp_path, **{"train_cfg.max_iters": 2, "model.sizes": [32]})
    config.model.student = nano
    train_model(config)
    convert(tmp_path / "iter_2.pth", tmp_path / "again.safetensors")
    once, again = (load_file(tmp_path / f"{name}.safetensors") for name in ("tower", "again"))
    assert once.keys() == again.keys()
    assert all(torch.equal(once[name], again[name]) for name in once)
    convert(tmp_path / "iter_2.pth", tmp_path / "none.safetensors", blend=0)
    start = load_file(tmp_path / "none.safetensors")
    name = "visual.transformer.resblocks.5.mlp.c_fc.weight"
    assert not torch.equal(start[name], once[name])


def test_other_checkpoints_are_refused(tmp_path):
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(CheckpointMismatchError, match="neither a checkpoint of a training"):
        convert(tmp_path / "other.pt", tmp_path / "x.safetensors")
