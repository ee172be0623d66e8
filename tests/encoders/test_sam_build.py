from __future__ import annotations

import pytest
import torch
from segment_anything import sam_model_registry

from ovseg.encoders.sam_build import (
    SAM_ARCHITECTURES,
    SAMArchitecture,
    build_sam,
    sam_architecture,
)
from ovseg.errors import ConfigError

TINY = dict(
    embed_dim=48, depth=4, num_heads=3, global_attn_indexes=(1, 3), window_size=3, image_size=64,
    patch_size=8, out_chans=32, decoder_heads=4, decoder_mlp_dim=64, iou_hidden_dim=32,
)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "name", "width"),
    [
        ("vit_b", "vit_b", 768),
        ("vit_h", "vit_h", 1280),
        ("nano-sam-8", "nano-sam-8", SAM_ARCHITECTURES["nano-sam-8"].embed_dim),
        ({"base": "vit_l", "image_size": 512}, "custom", 1024),
        ({"name": "nano", **TINY}, "nano", 48),
        (SAMArchitecture(embed_dim=96), "custom", 96),
    ],
)
def test_architecture_from_name_or_sizes(model, name, width):
    found, architecture = sam_architecture(model)
    assert (found, architecture.embed_dim) == (name, width)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("vit_x", "vit_x"),
        ({"base": "vit_x"}, "vit_x"),
        ({"embed_dims": 3}, "embed_dims"),
        ({"image_size": 1000}, "1000"),
        ({"num_heads": 7}, "num_heads"),
        ({"out_chans": 40}, "out_chans"),
        ({"mask_in_chans": 6}, "mask_in_chans"),
        ({"global_attn_indexes": (12,)}, "12"),
    ],
)
def test_impossible_architectures_are_refused(model, words):
    with pytest.raises(ConfigError, match=words):
        sam_architecture(model)


def test_published_sizes_are_those_of_segment_anything():
    """Same tensor names and shapes as the installed registry builds, checked on the meta device."""
    published = set(sam_model_registry) - {"default"}
    assert set(SAM_ARCHITECTURES) == published | {"nano-sam-8"}
    with torch.device("meta"):
        for name in published:
            ours = build_sam(SAM_ARCHITECTURES[name]).state_dict()
            theirs = sam_model_registry[name]().state_dict()
            assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_blocks_with_windows_are_those_not_named():
    sam = build_sam(SAMArchitecture(**TINY))
    assert [block.window_size for block in sam.image_encoder.blocks] == [3, 0, 3, 0]
