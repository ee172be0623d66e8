from __future__ import annotations

import json

import pytest
from open_clip.constants import INCEPTION_MEAN, OPENAI_DATASET_MEAN

from ovseg.encoders import clip_architectures
from ovseg.encoders.clip_architectures import get_architecture, packaged_architectures
from ovseg.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "embed_dim", "quick_gelu"),
    [
        ("ViT-B-16", 512, False),
        ("ViT-B/16", 512, False),
        ("ViT-B-16-quickgelu", 512, True),
        ("ViT-H-14", 1024, False),
        ("convnext_large_d_320", 768, False),
    ],
)
def test_names_of_open_clip(name, embed_dim, quick_gelu):
    architecture = get_architecture(name)
    assert architecture.name == name.replace("/", "-")
    assert (architecture.embed_dim, architecture.quick_gelu) == (embed_dim, quick_gelu)
    assert architecture.mean == OPENAI_DATASET_MEAN


@pytest.mark.parametrize(
    ("name", "tag", "quick_gelu", "mean"),
    [
        ("ViT-B-16", "openai", True, OPENAI_DATASET_MEAN),
        ("ViT-B-16-quickgelu", "openai", True, OPENAI_DATASET_MEAN),
        ("ViT-B-16", "laion2b_s34b_b88k", False, OPENAI_DATASET_MEAN),
        ("ViT-L-14", "laion2b_s32b_b82k", False, INCEPTION_MEAN),
        ("ViT-B-16", None, False, OPENAI_DATASET_MEAN),
        ("ViT-B-16-quickgelu", "unknown", True, OPENAI_DATASET_MEAN),
        ("ViT-B-16-quickgelu", "ovseg", True, OPENAI_DATASET_MEAN),
    ],
)
def test_the_tag_decides_activation_and_normalisation(name, tag, quick_gelu, mean):
    architecture = get_architecture(name).for_tag(tag)
    assert (architecture.quick_gelu, architecture.mean) == (quick_gelu, mean)


def test_descriptions(tiny_config):
    one = get_architecture(tiny_config(quick_gelu=True))
    assert one.quick_gelu and one.name.startswith("custom-")
    assert one.name == get_architecture(tiny_config(quick_gelu=True)).name
    assert one.name != get_architecture(tiny_config()).name
    assert get_architecture(tiny_config(name="mine")).name == "mine"


def test_packaged(tmp_path, monkeypatch, tiny_config):
    monkeypatch.setattr(clip_architectures, "nano_file", lambda name: tmp_path / name)
    config = tiny_config(preprocess_cfg={"mean": [0.5] * 3, "std": [0.25] * 3})
    config["text_cfg"]["bpe_file"] = "words.txt.gz"
    (tmp_path / "nano-x.json").write_text(json.dumps(config))
    (tmp_path / "other.json").write_text("{}")
    architecture = get_architecture("nano-x")
    assert architecture.name == "nano-x"
    assert (architecture.mean, architecture.std) == ((0.5,) * 3, (0.25,) * 3)
    assert architecture.bpe_file == "words.txt.gz" and "bpe_file" not in architecture.text
    assert packaged_architectures() == ["nano-x"]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("ViT-B-61", "'ViT-B-61': did you mean ViT-B-16"),
        ("zzz", "see open_clip.list_models"),
        ("hf-hub:a/b", "no CLIP architecture"),
        ({"embed_dim": 3, "vision_cfg": {}}, "lacks 'text_cfg'"),
    ],
)
def test_unknown(model, says):
    with pytest.raises(ConfigError, match=says):
        get_architecture(model)
