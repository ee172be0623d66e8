"""The eight methods as their configs have them, on towers that are small and drawn."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch
from torch.nn import functional as F

import ovseg
from ovseg.dense import Picture
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.text import Vocabulary
from tests import drawn

_TOWER = {"model": drawn.CLIP}
DINO = {"model": "vit_tiny_patch16_224", "overrides": drawn.DINO}
SAM = {
    "model": dict(
        name="drawn-sam", embed_dim=24, depth=2, num_heads=3, global_attn_indexes=(1,),
        window_size=3, image_size=64, patch_size=8, out_chans=16, decoder_heads=2,
        decoder_mlp_dim=16, iou_hidden_dim=8,
    )
}  # fmt: skip
WINDOWS = {"short_side": 40, "long_side": 160, "crop": 32, "stride": 16}

#: What is smaller than in the configs of the zoo, and nothing else.
METHODS: dict[str, dict[str, Any]] = {
    "maskclip_vit-b16": {},
    "sclip_vit-b16": {},
    "clearclip_vit-b16": {},
    "naclip_vit-b16": {},
    "cliptrase_vit-b16": {"protocol": {"short_side": 40, "long_side": 160}},
    "proxyclip_vit-b16": {"encoders": {"dino": DINO}},
    "clip_dinoiser_vit-b16": {
        "aggregator": {"guide": {**drawn.HEAD, "block": -3}},
        "foreground": {**drawn.HEAD, "block": -3},
    },
    "clip_dinoiser-teacher_vit-b16": {"encoders": {"dino": DINO}},
    "trident_vit-b16": {
        "encoders": {"dino": DINO, "sam": SAM},
        "aggregator": {"multiple": 8},
        "refiner": {"multiple": 8, "minimal_area": 4, "coarse_threshold": 0.05},
    },
}


def small_method(name: str, refined: bool = True, **settings: Any) -> ovseg.Segmenter:
    """A method of the zoo by `create_model`; weights are drawn, and the same at every call."""
    given = {"protocol": WINDOWS, **METHODS[name], "templates": "none", "text_cache": False}
    for key, value in settings.items():
        merged = isinstance(value, dict) and isinstance(given.get(key), dict)
        given[key] = {**given[key], **value} if merged else value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        made = ovseg.create_model(
            name, pretrained=None, image_encoder=_TOWER, text_encoder=_TOWER, **given
        )
    model = made.model
    if not refined:
        model.refiner = None
    drawn.draw_weights(model.image_encoder.visual, "clip")
    if "dino" in model.encoders:
        drawn.draw_weights(model.encoders["dino"].vit, "dino")
    if "sam" in model.encoders:
        sam = model.encoders["sam"].sam
        drawn.draw_weights(sam, "sam")
        with torch.no_grad():  # some answers are trusted and some are not
            sam.mask_decoder.iou_prediction_head.layers[-1].bias += 0.8
    for part in (model.foreground, getattr(model.aggregator, "guide", None)):
        if hasattr(part, "head"):
            drawn.draw_weights(part.head, "convolutions")
    return made


@functools.cache
def _words(name: str) -> torch.Tensor:
    """What patches of a drawn picture look like to a method, the most unlike ones first: (N, E).

    Pooled features are so much alike that words drawn at random would all but one be unheard.
    """
    model = small_method(name).model
    ((_, features),) = model.read([Picture(drawn.draw_picture(48, 64, seed=4))])
    with torch.no_grad():
        if model.splice:
            features = [model._project(tokens[None])[0] for tokens in features]
    units = F.normalize(torch.cat([f.flatten(0, 1) for f in features]), dim=-1)
    order, nearest = [0], torch.full((len(units),), -1.0)
    while len(order) < len(units):
        nearest = torch.maximum(nearest, units @ units[order[-1]])
        nearest[order[-1]] = 2
        order.append(int(nearest.argmin()))
    return units[order]


def give_words(made: ovseg.Segmenter, count: int = 5) -> list[str]:
    """Names of classes to segment; their embeddings are set, not read from the names."""
    names = [f"class {i}" for i in range(count)]
    words = _words(made.name)
    more = drawn.draw_words(max(1, count - len(words)), words.shape[1], seed=1)
    model = made.model
    model.vocabulary = Vocabulary.load(names)
    model.text = torch.cat([words, more])[:count].to(model.text.device)
    model.query_to_class = torch.arange(count)
    return names
