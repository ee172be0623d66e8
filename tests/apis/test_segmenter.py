from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from PIL import Image

import ovseg
from ovseg.apis.segmenter import _set_sources
from ovseg.errors import ConfigError, ImageError, VocabularyError, WeightsNotFoundError
from tests.tiny import CLIP, build_segmentor, segmentor_config

PROTOCOL = {"short_side": 40, "long_side": 200, "crop": 32, "stride": 16}


@pytest.fixture(scope="module")
def model():
    return ovseg.Segmenter(build_segmentor(protocol=PROTOCOL), "tiny")


def picture(height=50, width=70, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(array, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def test_every_kind_of_input_gives_the_same(model, tmp_path):
    array = picture()
    path = tmp_path / "a.png"
    path.write_bytes(encoded(array))
    kinds = [
        array,
        path,
        str(path),
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        Image.open(path),
        torch.from_numpy(array).permute(2, 0, 1),
        torch.from_numpy(array).permute(2, 0, 1).double() / 255,
    ]
    results = model.segment(kinds, ["cat", "dog", "grass"], batch_size=3)
    assert isinstance(results, list)
    assert len(results) == len(kinds)
    for result in results:
        np.testing.assert_array_equal(result.mask, results[0].mask)
        np.testing.assert_array_equal(result.image, array)
    assert results[1].name == str(path)


def test_one_in_one_out(model):
    result = model.segment(picture(), {"cat": "kitten", "grass": ["lawn", "meadow"]})
    assert isinstance(result, ovseg.SegmentationResult)
    assert result.classes == ("cat", "grass")
    assert result.mask.shape == (50, 70)
    assert result.areas.sum() == 50 * 70
    assert set(np.unique(result.mask)) <= {0, 1}
    assert result.info["model"] == "tiny"
    assert result.info["protocol"]["short_side"] == 40
    assert "random" in result.info["weights"]["image_encoder"]


def test_batch_size_does_not_matter(model):
    pictures = [picture(40 + 13 * i, 90 - 11 * i, seed=i) for i in range(5)]
    one = model.segment(pictures, ["cat", "dog"])
    many = model.segment(pictures, ["cat", "dog"], batch_size=4)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_array_equal(a.scores, b.scores)


def test_classes_are_kept_until_changed(model):
    model.segment(picture(), ["cat", "dog"])
    assert model.segment(picture()).classes == ("cat", "dog")
    assert model.segment(picture(), background=["sky"]).classes == ("background", "cat", "dog")


@pytest.mark.parametrize(
    ("images", "classes", "error", "word"),
    [
        ([], ["cat"], ImageError, "empty"),
        (picture(), [], VocabularyError, "at least one"),
        (picture(), ["cat", "cat"], VocabularyError, "cat"),
        (b"", ["cat"], ImageError, "empty|no bytes|0 bytes"),
        (b"not an image", ["cat"], ImageError, "image"),
        (np.zeros((5, 5, 7), np.uint8), ["cat"], ImageError, "RGB"),
    ],
)
def test_bad_input_is_one_clear_error(model, images, classes, error, word):
    with pytest.raises(error, match=word):
        model.segment(images, classes)


@pytest.mark.parametrize(
    ("name", "word"), [("maskclip_nanoo", "maskclip_nano"), ("nope.py", "nope.py")]
)
def test_unknown_models_are_named(name, word):
    with pytest.raises(ConfigError, match=word):
        ovseg.create_model(name)


def test_a_config_file_is_a_model_too(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(f"model = {segmentor_config()!r}\n")
    with pytest.warns(UserWarning, match="random weights"):
        model = ovseg.create_model(str(path), protocol={"short_side": 32})
    assert model.name == "mine"
    assert model.segment(picture(), ["cat"]).mask.shape == (50, 70)
    assert model.model.protocol.short_side == 32


def test_random_weights_are_asked_for_and_announced():
    with pytest.warns(UserWarning, match="random weights"):
        model = ovseg.create_model("maskclip_nano", pretrained=None)
        again = ovseg.create_model("maskclip_nano", pretrained=None)
    assert "random" in model.model.fingerprints()["image_encoder"]
    results = [m.segment(picture(), ["cat", "dog"]) for m in (model, again)]
    np.testing.assert_array_equal(results[0].scores, results[1].scores)


def test_a_missing_file_of_weights_is_named(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"gone\.safetensors"):
        ovseg.create_model("maskclip_nano", weights=tmp_path / "gone.safetensors")


def test_segment_takes_a_model_or_a_name(model):
    assert ovseg.segment(picture(), ["cat"], model=model).classes == ("cat",)
    with pytest.raises(ConfigError, match="precision"):
        ovseg.segment(picture(), ["cat"], model=model, precision="bf16")


def test_segment_never_falls_back_to_nano(monkeypatch):
    asked = []

    def create(name, **options):
        asked.append(name)
        raise WeightsNotFoundError("no network")

    monkeypatch.setattr("ovseg.apis.segmenter.create_model", create)
    with pytest.raises(WeightsNotFoundError):
        ovseg.segment(picture(), ["cat"])
    assert asked == ["maskclip_vit-b16"]


@pytest.mark.parametrize(
    ("attention", "residual"),
    [
        ({"type": "PlainAttention"}, True),  # another rule: nothing of the old one is left
        ({"residual": True}, True),
        ({"type": "MaskCLIPAttention"}, False),  # the same rule: its settings stay
        ({"type": "MaskCLIPAttention", "residual": True}, True),
    ],
)
def test_an_override_of_another_type_takes_the_place_of_the_old_one(attention, residual):
    model = ovseg.create_model("maskclip_nano", attention=attention)
    rule = model.model.attention
    assert type(rule).__name__ == attention.get("type", "MaskCLIPAttention")
    assert rule.residual is residual


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_a_dict_takes_the_place_of_a_name_and_an_inner_part_that_of_another_type():
    guide = {"type": "CLIPGuide", "feature": "q"}
    tower = {"model": CLIP}
    model = ovseg.create_model(
        "clip_dinoiser-teacher_vit-b16",
        pretrained=None,
        image_encoder=tower,
        text_encoder=tower,
        encoders={"dino": {"overrides": {"embed_dim": 16, "depth": 1, "num_heads": 1}}},
        aggregator={"gamma": 0.3, "guide": guide},
    ).model
    assert model.image_encoder.embed_dim == CLIP["embed_dim"]
    assert (model.aggregator.guide.encoder, model.aggregator.guide.feature) == ("clip", "q")
    assert model.aggregator.gamma == 0.3


def test_none_switches_a_part_off_and_leaves_any_other_setting():
    on = ovseg.create_model("naclip_nano", protocol=None, templates=None).model
    off = ovseg.create_model("naclip_nano", refiner=None).model
    assert on.refiner is not None and off.refiner is None
    assert type(on.attention) is type(off.attention)


def test_precision_and_random_weights_reach_every_encoder():
    dino = {
        "type": "DINO", "model": "vit_tiny_patch16_224", "pretrained": "dino",
        "overrides": {"embed_dim": 16, "depth": 1, "num_heads": 1, "img_size": 32},
    }  # fmt: skip
    config = ConfigDict(image_encoder={}, text_encoder={}, encoders={"dino": dino})
    _set_sources(config, False, "clip.safetensors", "bf16")
    assert config.encoders.dino.pretrained is None
    assert {s.precision for s in (config.image_encoder, config.encoders.dino)} == {"bf16"}
    assert config.text_encoder.weights == "clip.safetensors"
    assert config.encoders.dino.weights is None


@pytest.mark.parametrize(
    ("precision", "able", "warned"),
    [("bf16", False, True), ("bf16", None, False), ("bf16", True, False), (None, False, False)],
)
def test_bfloat16_that_is_emulated_is_told(precision, able, warned, monkeypatch):
    monkeypatch.setattr("ovseg.apis.segmenter.computes_bfloat16", lambda _: able)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ovseg.create_model("maskclip_nano", precision=precision, device="cpu")
    assert any("emulates it" in str(one.message) for one in told) == warned


def test_without_pretrained_weights_learned_layers_have_none_either():
    head = {"type": "DINOiserGuide", "pretrained": "authors", "weights": "last.pt"}
    pooling = {"type": "CorrelationPooling", "guide": head}
    config = ConfigDict(image_encoder={}, aggregator=pooling, foreground={**head}, refiner=None)
    _set_sources(config, True, None, None)
    assert config.aggregator.guide.pretrained == "authors"
    _set_sources(config, False, None, None)
    for part in (config.aggregator.guide, config.foreground):
        assert part.pretrained is None and part.weights is None


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_parts_of_several_methods_in_one_call():
    sizes = {"embed_dim": 16, "depth": 1, "num_heads": 1, "img_size": 32}
    dino = dict(type="DINO", model="vit_tiny_patch16_224", pretrained="dino", overrides=sizes)
    model = ovseg.create_model(
        "clearclip_nano",
        pretrained=False,
        attention=dict(type="NACLIPAttention"),
        encoders=dict(dino=dino),
        aggregator=dict(
            type="CorrelationPooling", guide=dict(type="DINOGuide", encoder="dino", feature="v")
        ),
        refiner=dict(type="PAMR", iterations=2),
    )
    assert model.model.encoders["dino"].fingerprint.endswith("random")
    assert model.segment(picture(), ["cat", "dog"]).areas.sum() == picture().size // 3
