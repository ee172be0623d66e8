from __future__ import annotations

import math
import warnings

import pytest
import torch
from safetensors.torch import save_file

from ovseg.encoders.clip_architectures import get_architecture
from ovseg.encoders.clip_loading import (
    build_image_tower,
    build_text_tower,
    read_logit_scale,
    resolve,
)
from ovseg.encoders.weights import WeightSource
from ovseg.errors import CheckpointMismatchError, ConfigError, WeightsNotFoundError


def _source(path):
    return WeightSource(name="m/t", path=path)


def _same(tower, reference):
    mine, theirs = tower.state_dict(), reference
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def _text(model):
    drop = ("visual.", "logit_scale")
    return {k: v for k, v in model.state_dict().items() if not k.startswith(drop)}


@pytest.mark.parametrize("kind", ["vit", "vit-qknorm", "convnext", "convnext-mlp", "resnet"])
def test_towers_of_a_whole_checkpoint(tiny_clip, kind):
    config, model, path = tiny_clip(kind)
    architecture = get_architecture(config)
    _same(build_image_tower(architecture, _source(path)), model.visual.state_dict())
    text = build_text_tower(architecture, _source(path))
    _same(text, _text(model))
    assert torch.equal(text.attn_mask, model.attn_mask)


def test_image_tower_of_its_own_checkpoint(tiny_clip, tmp_path):
    config, model, _ = tiny_clip()
    torch.save(model.visual.state_dict(), tmp_path / "visual.pt")
    tower = build_image_tower(get_architecture(config), _source(tmp_path / "visual.pt"))
    _same(tower, model.visual.state_dict())


def test_text_tower_under_its_newer_name(tiny_clip, tmp_path):
    config, model, _ = tiny_clip()
    state = {f"text.{name}": tensor for name, tensor in _text(model).items()}
    save_file(state, tmp_path / "t.safetensors")
    tower = build_text_tower(get_architecture(config), _source(tmp_path / "t.safetensors"))
    _same(tower, _text(model))


def test_openai_archive(tiny_clip, tmp_path):
    """A traced half-precision model with the extra entries OpenAI's files have."""

    class Whole(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            for name, child in model.named_children():
                setattr(self, name, child)
            for name, parameter in model.named_parameters(recurse=False):
                setattr(self, name, parameter)
            self.register_buffer("input_resolution", torch.tensor(64))
            self.register_buffer("context_length", torch.tensor(16))
            self.register_buffer("vocab_size", torch.tensor(49408))
            self.attn_mask = torch.ones(2, 2)

        def forward(self, image):
            return self.visual(image) * self.text_projection.sum() + self.logit_scale

    config, model, _ = tiny_clip()
    model.half()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = torch.ones(1, 3, 64, 64).half()
        whole = torch.jit.trace(Whole(model).eval(), images, check_trace=False)
    whole.save(str(tmp_path / "ViT.pt"))
    architecture, source = get_architecture(config), _source(tmp_path / "ViT.pt")
    _same(build_image_tower(architecture, source), model.visual.state_dict())
    _same(build_text_tower(architecture, source), _text(model))
    assert read_logit_scale(source) == pytest.approx(1 / 0.07, rel=0.1)


def test_logit_scale(tiny_clip, tmp_path):
    _, model, path = tiny_clip()
    assert read_logit_scale(_source(path)) == pytest.approx(model.logit_scale.exp().item())
    assert read_logit_scale(None) == pytest.approx(1 / 0.07)
    torch.save({"logit_scale": torch.tensor([math.log(50.0)]).half()}, tmp_path / "c.pt")
    assert read_logit_scale(_source(tmp_path / "c.pt")) == pytest.approx(50, rel=1e-2)


def test_checkpoint_of_another_model(tiny_clip, tiny_config):
    _, _, path = tiny_clip("vit")
    with pytest.raises(CheckpointMismatchError) as caught:
        build_image_tower(get_architecture(tiny_config("vit-layerscale")), _source(path))
    message = str(caught.value)
    for part in (str(path), "image tower of custom-", "missing", "unexpected", "a CLIP ViT: width"):
        assert part in message
    with pytest.raises(CheckpointMismatchError, match="looks like a CLIP ViT"):
        build_image_tower(get_architecture(tiny_config("convnext")), _source(path))


def test_random_towers_differ_from_each_other(tiny_config):
    architecture = get_architecture(tiny_config())
    one, two = (build_image_tower(architecture, None) for _ in range(2))
    assert not torch.equal(one.proj, two.proj)


@pytest.mark.parametrize("key", ["vision_cfg", "text_cfg"])
def test_keys_open_clip_does_not_know(tiny_config, key):
    config = tiny_config()
    config[key]["wrong_key"] = 1
    build = build_image_tower if key == "vision_cfg" else build_text_tower
    with pytest.raises(ConfigError, match="wrong_key"):
        build(get_architecture(config), None)


def test_hugging_face_text_towers_are_refused():
    with pytest.raises(ConfigError, match=r"roberta-base.*not supported"):
        build_text_tower(get_architecture("roberta-ViT-B-32"), None)


@pytest.mark.parametrize(
    ("arguments", "quick_gelu", "name"),
    [
        (("ViT-B-16", "openai", None, None), True, "ViT-B-16/openai"),
        (("ViT-B-16", "openai", None, False), False, "ViT-B-16/openai"),
        (("ViT-B-16", "openai", "a/mine.pt", None), True, "ViT-B-16/mine"),
        (("ViT-B-16", None, "mine.pt", None), False, "ViT-B-16/mine"),
        (("ViT-B-16", "not a tag", "mine.pt", None), False, "ViT-B-16/mine"),
        (("ViT-B-16", None, None, None), False, None),
    ],
)
def test_resolve(arguments, quick_gelu, name):
    architecture, source = resolve(*arguments)
    assert architecture.quick_gelu is quick_gelu
    assert (source and source.name) == name


def test_resolve_unknown_tag():
    with pytest.raises(WeightsNotFoundError, match="no known weights 'not a tag'"):
        resolve("ViT-B-16", "not a tag", None, None)


def test_a_packaged_model_from_end_to_end(tiny_clip, tmp_path, monkeypatch):
    import gzip
    import json

    from ovseg.encoders import CLIPText, CLIPViT, clip_architectures, clip_tokenizer, sources

    for module in (sources, clip_architectures, clip_tokenizer):
        monkeypatch.setattr(module, "nano_file", lambda name: tmp_path / name)
    config, model, path = tiny_clip()
    path.rename(tmp_path / "nano-x.safetensors")
    config["text_cfg"]["bpe_file"] = "words.txt.gz"
    (tmp_path / "nano-x.json").write_text(json.dumps(config))
    (tmp_path / "words.txt.gz").write_bytes(gzip.compress(b"#version: 0.2\nc a\nca t</w>"))

    images = torch.randn(1, 3, 64, 64)
    image_encoder, text_encoder = (kind("nano-x", "ovseg") for kind in (CLIPViT, CLIPText))
    with torch.no_grad():
        torch.testing.assert_close(
            image_encoder(images), model.encode_image(images), atol=1e-5, rtol=1e-5
        )
    assert text_encoder.encode(["cat"]).shape == (1, 32)
    assert text_encoder.token_counts(["cat"]) == [3]
    assert image_encoder.fingerprint == text_encoder.fingerprint
    assert image_encoder.fingerprint.startswith("nano-x/ovseg/sha256:")


def test_descriptions_may_come_from_a_config_file(tiny_config):
    from mmengine.config import ConfigDict

    config = tiny_config(quick_gelu=True)
    from_file = get_architecture(ConfigDict(config))
    assert from_file == get_architecture(config)
    assert build_image_tower(from_file, None).output_dim == 32
