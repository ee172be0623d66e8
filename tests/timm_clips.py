"""Miniature CLIPs whose image tower is a ViT of timm, built as open_clip builds the real ones.

open_clip gives timm a name and nothing else, so the miniatures are known to timm by name.
"""

from __future__ import annotations

import copy

from timm.models import register_model
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "num_heads": 4, "depth": 3}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}


def _known(options: dict, fixed: dict) -> dict:
    """What is given, without what only timm's own builder understands."""
    given = {k: v for k, v in options.items() if k in ("num_classes", "global_pool")}
    return {**SIZES, **fixed, **given}


@register_model
def ovseg_test_eva02_clip(pretrained: bool = False, **options) -> Eva:
    """As ``eva02_*_clip_*``: rotary, SwiGLU, norms within both branches, separate q, k, v."""
    fixed = {
        "qkv_fused": False,
        "mlp_ratio": 8 / 3,
        "swiglu_mlp": True,
        "scale_mlp": True,
        "scale_attn_inner": True,
        "use_rot_pos_emb": True,
        "ref_feat_shape": (5, 5),
    }
    return Eva(**_known(options, fixed))


@register_model
def ovseg_test_eva_clip(pretrained: bool = False, **options) -> Eva:
    """As ``eva_giant_patch14_clip_224``: one projection for q, k, v, with a bias on two of them."""
    return Eva(**_known(options, {"mlp_ratio": 2.0}))


@register_model
def ovseg_test_siglip(pretrained: bool = False, **options) -> VisionTransformer:
    """As ``vit_*_siglip_*``: no class token, pooled by attention."""
    fixed = {"class_token": False, "global_pool": "map", "mlp_ratio": 2.0}
    return VisionTransformer(**_known(options, fixed))


@register_model
def ovseg_test_siglip_gap(pretrained: bool = False, **options) -> VisionTransformer:
    """As ``vit_*_siglip_gap_*``: no class token, pooled by the mean."""
    fixed = {"class_token": False, "global_pool": "avg", "fc_norm": False, "mlp_ratio": 2.0}
    vit = VisionTransformer(**_known(options, fixed))
    vit.default_cfg = {}
    return vit


_VISION = {
    "eva02": {"timm_model_name": "ovseg_test_eva02_clip", "timm_pool": "token", "timm_proj": None},
    "eva": {"timm_model_name": "ovseg_test_eva_clip", "timm_pool": "token", "timm_proj": None},
    "siglip": {"timm_model_name": "ovseg_test_siglip", "timm_pool": "map", "timm_proj": "none"},
    "siglip-gap": {
        "timm_model_name": "ovseg_test_siglip_gap",
        "timm_pool": "avg",
        "timm_proj": "linear",
    },
}
KINDS = tuple(_VISION)


def timm_clip(kind: str = "eva02") -> dict:
    """Description of a miniature CLIP, as `ovseg.encoders.CLIPViT` takes it."""
    vision = {"image_size": SIZES["img_size"], **_VISION[kind]}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": TEXT}
    return copy.deepcopy({"name": f"tiny-{kind}", **config})
