"""Runs that were made with the authors' public code and are compared with ours.

Recorded with `tools/record/compare_rules.py` from chongzhou96/MaskCLIP 245d31f, wangf3014/SCLIP
b56bd30, mc-lan/ClearCLIP ad68a40, sinahmr/NACLIP 0cac3a6 and leaves162/CLIPtrase 2b7de61, in
float32 on the CPU.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ovseg.dense import Picture
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.registry import MODELS
from tests.drawn import CLIP, SIZES, draw_tower, draw_words

SCLIP = {"short_side": 336, "long_side": 2048, "crop": 224, "stride": 112, "logit_scale": 40}
CLEARCLIP = {"short_side": 448, "long_side": 2048, "crop": 448, "stride": 224, "logit_scale": 50}
SQUARE = {"square": True, "interpolation": "bicubic", "logit_scale": 100}

#: Per case: whose code, our parts, the protocol, and the seed of the words.
CASES = {
    "maskclip": {
        "code": "maskclip",
        "attention": {"type": "MaskCLIPAttention", "residual": True, "mlp": True},
        "position": "bicubic",
        "protocol": {"short_side": 192, "long_side": 2048, "logit_scale": 100},
    },
    "sclip": {"code": "sclip", "attention": {"type": "SCLIPAttention"}, "protocol": SCLIP},
    "sclip_thresholds": {
        "code": "sclip",
        "attention": {"type": "SCLIPAttention"},
        "protocol": {**SCLIP, "logit_scale": 10, "prob_threshold": 0.06, "area_threshold": 0.05},
    },
    "clearclip": {
        "code": "clearclip",
        "attention": {"type": "ClearCLIPAttention"},
        "protocol": CLEARCLIP,
    },
    "naclip": {"code": "naclip", "attention": {"type": "NACLIPAttention"}, "protocol": SCLIP},
    "naclip_pamr": {
        "code": "naclip",
        "attention": {"type": "NACLIPAttention"},
        "protocol": {**SCLIP, "logit_scale": 10, "prob_threshold": 0.06},
        "refiner": {"type": "PAMR"},
    },
    "cliptrase_224": {
        "code": "cliptrase",
        "attention": {"type": "CLIPtraseAttention"},
        "protocol": {**SQUARE, "short_side": 224},
        "refiner": {"type": "CLIPtraseRefiner", "eps": 0.55, "min_samples": 3},
    },
    "cliptrase_no-cluster": {
        "code": "cliptrase",
        "attention": {"type": "CLIPtraseAttention"},
        "protocol": {**SQUARE, "short_side": 224},
        "refiner": {"type": "CLIPtraseRefiner", "eps": 0.1, "min_samples": 3},
    },
    "cliptrase_voc-20": {
        "code": "cliptrase",
        "attention": {"type": "CLIPtraseAttention"},
        "class_token_factor": True,
        "words": 351,  # with others one class is everywhere
        "protocol": {**SQUARE, "short_side": 224},
        "refiner": {"type": "CLIPtraseRefiner", "eps": 0.55, "min_samples": 3},
    },
    "cliptrase_336": {
        "code": "cliptrase",
        "attention": {"type": "CLIPtraseAttention"},
        "protocol": {**SQUARE, "short_side": 336},
        "refiner": {"type": "CLIPtraseRefiner", "eps": 0.85, "min_samples": 4},
    },
}

#: Height, width and seed of the drawn pictures.
PICTURES = [(180, 240, 1), (300, 200, 2)]
#: The classes that words stand for; CLIPtrase knows no synonyms.
OWNERS = [0, 0, 0, 1, 2, 2, *range(3, 17)]


def build_drawn(
    attention: dict,
    words: torch.Tensor,
    query_to_class: torch.Tensor,
    sizes: str = "small",
    position: str = "bicubic_offset",
    **settings: Any,
):
    """A segmentor with drawn weights and words (their classes are called "0", "1", ...)."""
    shape = SIZES[sizes]
    vision = {"image_size": 224, "layers": shape["layers"], "width": shape["width"]}
    clip = {
        "name": f"drawn-{sizes}".replace("/", "-"),
        "embed_dim": shape["embed_dim"],
        "quick_gelu": True,
        "vision_cfg": {**vision, "head_width": 64, "patch_size": 16},
        "text_cfg": CLIP["text_cfg"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build(
            {
                "type": "TrainingFreeSegmentor",
                "image_encoder": {
                    "type": "CLIPViT",
                    "model": clip,
                    "pretrained": None,
                    "position": position,
                },
                "text_encoder": {"type": "CLIPText", "model": clip, "pretrained": None},
                "attention": attention,
                "templates": "none",
                **settings,
            }
        )
        draw_tower(model.image_encoder.visual, seed=5)
        count = int(query_to_class.max()) + 1
        background = {"background": ["nothing"]} if model.protocol.needs_background else {}
        names = [str(i) for i in range(count - len(background))]
        model.set_vocabulary(names, **background)
    model.text, model.query_to_class = words, query_to_class
    return model.eval()


def build_case(case: str, sizes: str = "small"):
    """Our model of a case."""
    settings = CASES[case]
    parts = {key: value for key, value in settings.items() if key not in ("code", "words")}
    owners = torch.arange(20) if settings["code"] == "cliptrase" else torch.tensor(OWNERS)
    words = draw_words(len(owners), SIZES[sizes]["embed_dim"], settings.get("words", 7))
    return build_drawn(words=words, query_to_class=owners, sizes=sizes, **parts)


@torch.no_grad()
def run_case(model, pixels: torch.Tensor):
    """Logits (windows, N, Q) before they are enlarged, and the labels (H, W), of one picture."""
    sample = SegDataSample(metainfo={"ori_shape": tuple(pixels.shape[-2:])})
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, *pixels.shape[-2:], dtype=torch.int64))
    data = model.data_preprocessor({"inputs": [pixels], "data_samples": [sample]})
    (found,) = model.predict(**data)
    (named,) = model.logits([Picture(data["inputs"][0])])
    logits = np.stack([(f.flatten(0, 1) @ model.text.T).numpy() for f in named.features])
    return logits, found.pred_sem_seg.data[0].numpy().astype(np.int16)


def keep(logits: list, labels: list) -> dict[str, np.ndarray]:
    """The part of the results that the tests keep."""
    kept = {}
    for number, (windows, found) in enumerate(zip(logits, labels, strict=True)):
        kept[f"logits_{number}"] = windows[:, ::37, ::3]
        kept[f"labels_{number}"] = found[::5, ::5].astype(np.uint8)
    return kept
