"""Our FC-CLIP with the weights, words and settings that were recorded, see `drawn_fcclip`."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import numpy as np
import torch

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.registry import MODELS
from ovseg.segmentors.fcclip_checkpoint import from_authors
from ovseg.text import Vocabulary
from tests.heads import drawn_fcclip as drawn

DATA = Path(__file__).parent / "data"


@functools.lru_cache(maxsize=2)
def recorded(kind: str) -> dict[str, np.ndarray]:
    """The recorded arrays by name."""
    with np.load(DATA / f"fcclip_{kind}.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def layout(kind: str, which: str = "layout") -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a checkpoint of the authors."""
    lines = [line.split(" ") for line in recorded(kind)[which].tolist()]
    return {name: tuple(int(n) for n in shape.split(",") if n) for name, shape in lines}


def authors_state(kind: str, frozen: bool = False) -> dict[str, torch.Tensor]:
    """A checkpoint of the authors: the head drawn, the frozen part zeros."""
    state = {name: drawn.draw_tensor(name, shape, kind) for name, shape in layout(kind).items()}
    if frozen:
        state.update({k: torch.zeros(v) for k, v in layout(kind, "frozen").items()})
    return state


def fcclip_config(kind: str, **settings) -> dict:
    """Config of a model of the recorded sizes."""
    sizes = drawn.SIZES[kind]
    tower = {"model": drawn.clip_config(kind), "pretrained": None}
    return {
        "type": "FCCLIP",
        "image_encoder": {"type": "CLIPConv", "position": "bilinear", **tower},
        "text_encoder": {"type": "CLIPText", **tower},
        "pixel_decoder": {
            "type": "DeformablePixelDecoder",
            "dim": sizes["dim"],
            "mask_dim": sizes["hidden"],
            "layers": sizes["layers"],
            "heads": drawn.HEADS,
            "feedforward": drawn.FEEDFORWARD,
        },
        "decoder": {
            "type": "MaskTransformer",
            "dim": sizes["hidden"],
            "queries": drawn.QUERIES,
            "layers": sizes["decoder_layers"],
            "heads": drawn.HEADS,
            "feedforward": drawn.FEEDFORWARD,
        },
        "train_vocabulary": [name.replace(",", ";") for name in drawn.TRAIN_CLASSES],
        "templates": "none",
        "alpha": drawn.ALPHA,
        "beta": drawn.BETA,
        "valid_only": kind == "resnet",
        "object_threshold": drawn.OBJECT_THRESHOLD,
        "overlap_threshold": drawn.OVERLAP_THRESHOLD,
        "max_instances": drawn.INSTANCES,
        **settings,
    }


def vocabulary() -> Vocabulary:
    """The classes of the test, with things."""
    loaded = Vocabulary.load([name.replace(",", ";") for name in drawn.TEST_CLASSES])
    flags = tuple(i in drawn.THINGS for i in range(len(loaded)))
    return Vocabulary(loaded.classes, loaded.words, None, "drawn", flags)


def drawn_fcclip(kind: str, **settings):
    """The model, with the recorded weights and words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        torch.manual_seed(0)
        model = MODELS.build(fcclip_config(kind, **settings)).eval()
        drawn.draw_module(model.image_encoder.visual, "clip", kind)
        model.load_state_dict(from_authors(authors_state(kind), kind)[0], strict=False)
        model.set_vocabulary(vocabulary())
    model.text = drawn.draw_words(len(model.text), kind)
    model.text_encoder.logit_scale = drawn.LOGIT_SCALE
    return model
