from __future__ import annotations

import pytest
import timm
import torch

from ovseg.encoders.dino_weights import adapt_state_dict, tag_config
from ovseg.errors import CheckpointMismatchError


def build(model: str, widen, patch: int = 16):
    options = dict(embed_dim=48, num_heads=3, depth=2, img_size=4 * patch, num_classes=0)
    return widen(timm.create_model(model, **options))


def fits(state, model) -> bool:
    """Whether a state can be loaded strictly and gives back the model's own tensors."""
    expected = {k: v.clone() for k, v in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.data.zero_()
    model.load_state_dict(state, strict=True)
    return all(torch.allclose(v, expected[k], atol=1e-6) for k, v in model.state_dict().items())


def dino_v1(model):
    """Layout of dino_vits16_pretrain.pth: timm's own."""
    return dict(model.state_dict())


def dino_v1_teacher(model):
    """Layout of the teacher of a training checkpoint."""
    state = {f"module.backbone.{k}": v for k, v in model.state_dict().items()}
    return {**state, "module.head.last_layer.weight_v": torch.ones(4, 2)}


def dinov2(model):
    return {**model.state_dict(), "mask_token": torch.zeros(1, 48)}


def dinov2_registers(model):
    """The class token's position is kept apart, in the table's first row."""
    state = dict(model.state_dict())
    first = torch.randn(1, 1, 48)
    state["register_tokens"] = state.pop("reg_token")
    state["cls_token"] = state["cls_token"] - first
    state["pos_embed"] = torch.cat([first, state["pos_embed"]], dim=1)
    return {**state, "mask_token": torch.zeros(1, 48)}


def dinov3(model):
    """Joined biases, k's meaningless; buffers of the rotation; other names of the registers."""
    state = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        name = name.replace("reg_token", "storage_tokens")
        if name.endswith("q_bias"):
            v = model.state_dict()[name.replace("q_bias", "v_bias")]
            tensor = torch.cat([tensor, torch.full_like(v, torch.nan), v])
            name = name.replace("q_bias", "qkv.bias")
        if not name.endswith("v_bias"):
            state[name] = tensor
    return {**state, "mask_token": torch.zeros(1, 48), "rope_embed.periods": torch.ones(4)}


def dinov3_empty_biases(model):
    """As the released small to huge models: biases of q and v are there, and zero."""
    bias = torch.cat([torch.zeros(48), torch.full((48,), torch.nan), torch.zeros(48)])
    extra = {f"blocks.{i}.attn.qkv.bias": bias for i in range(2)}
    extra.update({f"blocks.{i}.attn.qkv.bias_mask": bias for i in range(2)})
    return {**dinov3(model), **extra}


@pytest.mark.parametrize(
    ("model", "layout"),
    [
        ("vit_small_patch16_224", dino_v1),
        ("vit_small_patch16_224", dino_v1_teacher),
        ("vit_small_patch14_dinov2", dinov2),
        ("vit_small_patch14_reg4_dinov2", dinov2_registers),
        ("vit_small_patch16_dinov3", dino_v1),
        ("vit_small_patch16_dinov3_qkvb", dinov3),
        ("vit_small_patch16_dinov3", dinov3_empty_biases),
    ],
)
def test_published_layouts_load(model, layout, widen, capsys):
    vit = build(model, widen, 14 if "dinov2" in model else 16)
    state = {k: v.clone() for k, v in layout(vit).items()}
    assert fits(adapt_state_dict(state, vit, "file"), vit)
    assert capsys.readouterr().out == ""


def test_biases_that_would_be_lost_are_refused(widen):
    with_biases = build("vit_small_patch16_dinov3_qkvb", widen)
    without = build("vit_small_patch16_dinov3", widen)
    with pytest.raises(CheckpointMismatchError, match=r"some\.pth.*_qkvb"):
        adapt_state_dict(dinov3(with_biases), without, "some.pth")


@pytest.mark.parametrize(
    ("other", "patch", "words"),
    [("vit_small_patch8_224", 8, "patches of"), ("vit_small_patch16_224", 24, "img_size")],
)
def test_sizes_timm_would_stretch_are_refused(other, patch, words, widen):
    state = build("vit_small_patch16_224", widen).state_dict()
    with pytest.raises(CheckpointMismatchError, match=words):
        adapt_state_dict(dict(state), build(other, widen, patch), "some.pth")


@pytest.mark.parametrize(
    ("model", "tag", "mean"),
    [
        ("vit_base_patch16_224", "dino", (0.485, 0.456, 0.406)),
        ("vit_large_patch16_dinov3", "sat493m", (0.430, 0.411, 0.296)),
        ("vit_base_patch16_224", "dinosaur", None),
        ("vit_nothing", "dino", None),
        ("vit_base_patch16_224", None, None),
    ],
)
def test_statistics_of_a_tag(model, tag, mean):
    config = tag_config(model, tag)
    assert (None if config is None else tuple(config.mean)) == mean
