from __future__ import annotations

import open_clip
import pytest
import torch

from ovseg.encoders import CLIPText, clip_text
from ovseg.errors import ConfigError, VocabularyError, WeightsNotFoundError

TEXTS = ["a photo of a cat", "dog", ""]


@pytest.fixture
def pair(tiny_clip):
    config, model, path = tiny_clip()
    return CLIPText(config, pretrained=None, weights=path), model


def test_encode_is_encode_text(pair):
    encoder, model = pair
    with torch.no_grad():
        expected = model.encode_text(open_clip.tokenize(TEXTS, context_length=16))
    encoded = encoder.encode(TEXTS)
    torch.testing.assert_close(encoded, expected, atol=1e-5, rtol=1e-5)
    assert encoded.dtype == torch.float32 and not encoded.requires_grad
    assert torch.equal(encoder(TEXTS), encoded)


def test_a_batch_gives_what_each_text_gives(pair):
    encoder, _ = pair
    together = encoder.encode(TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(encoder.encode([text])[0], row, atol=1e-6, rtol=1e-5)


def test_lazy(pair, monkeypatch):
    encoder, model = pair
    real = clip_text.build_text_tower
    built = []

    def build(*arguments):
        built.append(1)
        return real(*arguments)

    monkeypatch.setattr(clip_text, "build_text_tower", build)
    assert encoder.logit_scale == pytest.approx(model.logit_scale.exp().item())
    assert encoder.token_counts(TEXTS) == [7, 3, 2]
    assert encoder.fingerprint.split("/")[-1].startswith("sha256:")
    assert not encoder.loaded and built == []
    first = encoder.encode(TEXTS)
    encoder.encode(TEXTS)
    assert encoder.loaded and built == [1]
    encoder.release()
    assert not encoder.loaded
    assert torch.equal(encoder.encode(TEXTS), first) and built == [1, 1]


def test_building_reads_no_file(tmp_path):
    encoder = CLIPText("ViT-B-16", weights=tmp_path / "missing.pt")
    assert (encoder.embed_dim, encoder.context_length) == (512, 77)
    with pytest.raises(WeightsNotFoundError, match=r"missing\.pt"):
        encoder.encode(["cat"])


def test_no_part_of_a_checkpoint(pair):
    encoder, _ = pair
    whole = torch.nn.ModuleDict({"text": encoder})
    before = list(whole.state_dict()), list(whole.parameters())
    encoder.encode(TEXTS)
    assert (list(whole.state_dict()), list(whole.parameters())) == before == ([], [])


@pytest.mark.parametrize("before", [True, False])
def test_to_reaches_the_tower(pair, before):
    encoder, _ = pair
    if before:
        encoder.encode(TEXTS)
    torch.nn.ModuleList([encoder]).to(torch.float64)
    assert encoder.dtype == torch.float64
    encoder.encode(TEXTS)
    (tower,) = encoder._tower
    assert {parameter.dtype for parameter in tower.parameters()} == {torch.float64}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precision(tiny_clip, precision):
    config, _, path = tiny_clip()
    exact = CLIPText(config, pretrained=None, weights=path)
    rough = CLIPText(config, pretrained=None, weights=path, precision=precision)
    one, two = (torch.nn.functional.normalize(e.encode(TEXTS), dim=-1) for e in (exact, rough))
    assert two.dtype == torch.float32
    torch.testing.assert_close(one, two, atol=2e-2, rtol=0)
    assert rough.fingerprint == f"{exact.fingerprint}/{precision}"


@pytest.mark.filterwarnings("ignore::ovseg.encoders.base.RandomWeightsWarning")
def test_random_weights_outlive_a_release(tiny_config):
    encoder = CLIPText(tiny_config(), pretrained=None)
    first = encoder.encode(TEXTS)
    state = torch.random.get_rng_state()
    encoder.release()
    assert torch.equal(encoder.encode(TEXTS), first)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(CLIPText(tiny_config(), pretrained=None).encode(TEXTS), first)
    assert encoder.logit_scale == pytest.approx(1 / 0.07)


def test_random_weights_warn_once_and_say_so(tiny_config):
    with pytest.warns(UserWarning, match="has random weights") as caught:
        encoder = CLIPText(tiny_config(), pretrained=None)
        encoder.encode(TEXTS)
    assert len([w for w in caught if "random weights" in str(w.message)]) == 1
    assert encoder.fingerprint.endswith("/random")


def test_no_texts(pair):
    assert pair[0].encode([]).shape == (0, 32)


def test_text_that_is_too_long(pair):
    with pytest.raises(VocabularyError, match=r"'cat cat .*' needs 22 tokens and .* reads 16"):
        pair[0].encode(["dog", "cat " * 20])


def test_unknown():
    with pytest.raises(ConfigError, match="no CLIP architecture"):
        CLIPText("nope")
    with pytest.raises(WeightsNotFoundError, match="no known weights"):
        CLIPText("ViT-B-16", "nope")
