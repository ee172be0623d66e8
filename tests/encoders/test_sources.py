from __future__ import annotations

import pytest

from ovseg.encoders import sources
from ovseg.encoders.sources import (
    clip_source,
    clip_tags,
    dino_source,
    nano_models,
    nano_source,
    sam_source,
)
from ovseg.errors import WeightsNotFoundError


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "nano_file", lambda name: tmp_path / name)
    (tmp_path / "nano-x.safetensors").write_bytes(b"abc")
    return tmp_path


@pytest.mark.parametrize("model", ["ViT-B-16", "ViT-B-16-quickgelu", "ViT-L-14", "RN50"])
def test_openai_weights_have_a_digest_and_a_second_place(model):
    source = clip_source(model, "openai")
    assert len(source.sha256) == 64 and source.sha256 in source.url
    assert source.licence == "MIT"
    (other,) = source.alternatives
    assert other.hub_repo.startswith("timm/") and other.sha256 is None


def test_release_files_carry_the_first_digits():
    source = clip_source("ViT-B-32", "laion400m_e31")
    assert source.hub_repo == "timm/vit_base_patch32_clip_224.laion400m_e31"
    assert source.alternatives[0].sha256 == "d867053b"


@pytest.mark.parametrize(
    ("model", "tag", "repo", "files"),
    [
        (
            "ViT-B-16",
            "laion2b_s34b_b88k",
            "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
            ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
        ),
        (
            "ViTamin-S",
            "datacomp1b",
            "jienengchen/ViTamin-S",
            ("pytorch_model.safetensors", "pytorch_model.bin"),
        ),
    ],
)
def test_hub_files_prefer_safetensors(model, tag, repo, files):
    source = clip_source(model, tag)
    assert (source.hub_repo, source.hub_files, source.sha256) == (repo, files, None)


def test_every_tag_of_open_clip_has_a_source():
    from open_clip import list_pretrained

    for model, tag in list_pretrained():
        assert clip_source(model, tag).name == f"{model}/{tag}"


@pytest.mark.parametrize(
    ("model", "tag", "repo", "licence"),
    [
        ("vit_small_patch16_224", "dino", "timm/vit_small_patch16_224.dino", "apache-2.0"),
        (
            "vit_base_patch14_reg4_dinov2",
            "lvd142m",
            "timm/vit_base_patch14_reg4_dinov2.lvd142m",
            "apache-2.0",
        ),
        (
            "vit_base_patch16_dinov3",
            "lvd1689m",
            "timm/vit_base_patch16_dinov3.lvd1689m",
            "dinov3-license",
        ),
    ],
)
def test_dino(model, tag, repo, licence):
    source = dino_source(model, tag)
    assert (source.hub_repo, source.licence) == (repo, licence)
    assert source.hub_files == ("model.safetensors", "pytorch_model.bin")


@pytest.mark.parametrize("model", ["vit_b", "vit_l", "vit_h"])
def test_sam_digests_are_whole(model):
    source = sam_source(model)
    assert source.url.startswith("https://dl.fbaipublicfiles.com/segment_anything/sam_" + model)
    assert len(source.sha256) == 64 and source.size > 3e8


@pytest.mark.parametrize("lookup", [nano_source, lambda model: clip_source(model, "ovseg")])
def test_packaged(assets, lookup):
    source = lookup("nano-x")
    assert source.path == assets / "nano-x.safetensors"
    assert source.name == "nano-x/ovseg" and source.size == 3
    assert nano_models() == ["nano-x"]
    assert clip_tags("nano-x") == ["ovseg"]


@pytest.mark.parametrize(
    ("lookup", "says"),
    [
        (lambda: clip_source("ViT-B-16", "nope"), "known are openai, laion400m_e31"),
        (lambda: clip_source("ViT-B-16-quickgelu", "laion2b_s34b_b88k"), "known are openai"),
        (lambda: clip_source("nope", "openai"), "known are none"),
        (lambda: clip_source("nope", "ovseg"), "packaged are nano-x"),
        (lambda: dino_source("vit_small_patch16_224", "nope"), "known are .*dino"),
        (lambda: dino_source("nope", "dino"), "known are none"),
        (lambda: dino_source("nope", "ovseg"), "packaged are nano-x"),
        (lambda: sam_source("vit_x"), "known are sa1b for vit_b, vit_l, vit_h"),
        (lambda: sam_source("vit_b", "nope"), "known are sa1b"),
        (lambda: sam_source("nope", "ovseg"), "packaged are nano-x"),
    ],
)
def test_unknown(assets, lookup, says):
    with pytest.raises(WeightsNotFoundError, match=says):
        lookup()
