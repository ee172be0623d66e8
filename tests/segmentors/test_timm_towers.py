"""Training-free methods on towers whose trunk is a ViT of timm."""

from __future__ import annotations

import warnings

import pytest
import torch
from mmseg.structures import SegDataSample

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from tests.timm_clips import timm_clip

PROTOCOL = {"short_side": 32, "crop": 24, "stride": 16}


def build(kind, attention, **settings):
    clip = timm_clip(kind)
    clip["text_cfg"]["bpe_file"] = "nano_bpe.txt.gz"
    tower = {"model": clip, "pretrained": None}
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        return MODELS.build(
            {
                "type": "TrainingFreeSegmentor",
                "image_encoder": {"type": "CLIPViT", **tower},
                "text_encoder": {"type": "CLIPText", **tower},
                "attention": {"type": attention},
                "templates": "none",
                "protocol": PROTOCOL,
                "vocabulary": ["a", "b"],
                **settings,
            }
        )


@pytest.mark.parametrize("kind", ["eva02", "siglip"])
@pytest.mark.parametrize("attention", ["MaskCLIPAttention", "NACLIPAttention", "SCLIPAttention"])
def test_they_segment(kind, attention):
    model = build(kind, attention)
    sizes = [(32, 48), (64, 40)]
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    samples = [SegDataSample(metainfo={"ori_shape": size}) for size in sizes]
    found = model.predict(images, samples)
    assert [tuple(s.pred_sem_seg.data.shape[1:]) for s in found] == sizes
    (alone,) = model.predict(images[1:], [SegDataSample(metainfo={"ori_shape": sizes[1]})])
    assert torch.equal(alone.pred_sem_seg.data, found[1].pred_sem_seg.data)


def test_keys_of_rotary_positions_guide():
    """The guide reads the block at the grid of its window, not at the native one."""
    model = build(
        "eva02", "ProxyAttention", guide={"type": "CLIPGuide", "encoder": "clip", "feature": "k"}
    )
    image = torch.randint(0, 256, (3, 32, 56), dtype=torch.uint8)
    (found,) = model.predict([image], [SegDataSample(metainfo={"ori_shape": (32, 56)})])
    assert found.pred_sem_seg.data.shape == (1, 32, 56)


def test_without_a_class_token_it_has_no_opinion():
    with pytest.raises(ConfigError, match="with this image tower there is no class token"):
        build("siglip", "CLIPtraseAttention", class_token_factor=True)
