from __future__ import annotations

import gzip

import open_clip
import pytest

from ovseg.encoders import clip_tokenizer
from ovseg.encoders.clip_architectures import get_architecture
from ovseg.encoders.clip_tokenizer import build_tokenizer, count_tokens
from ovseg.errors import ConfigError, WeightsNotFoundError

TEXTS = ["a photo of a cat", "Dog", "", "größe 日本", "traffic light  with   spaces"]


def test_the_tokens_of_clip():
    tokenizer = build_tokenizer(get_architecture("ViT-B-16"))
    ids = tokenizer(TEXTS)
    assert (ids == open_clip.get_tokenizer("ViT-B-16")(TEXTS)).all()
    assert count_tokens(tokenizer, TEXTS) == [(row != 0).sum().item() for row in ids]


def test_counts_are_not_cut():
    tokenizer = build_tokenizer(get_architecture("ViT-B-16"))
    assert count_tokens(tokenizer, ["cat " * 100]) == [102]
    assert count_tokens(tokenizer, []) == []


def test_counts_of_hub_tokenizers():
    class Fake(clip_tokenizer.HFTokenizer):
        def __init__(self):
            self.clean_fn = str.strip
            self.tokenizer = lambda texts: type(
                "Out", (), {"input_ids": [[0, *map(ord, text), 1] for text in texts]}
            )

    assert count_tokens(Fake(), [" ab ", "abc"]) == [4, 5]
    assert count_tokens(Fake(), []) == []


@pytest.fixture
def packaged(tmp_path, monkeypatch, tiny_config):
    monkeypatch.setattr(clip_tokenizer, "nano_file", lambda name: tmp_path / name)
    merges = "#version: 0.2\nc a\nca t</w>\nd o"
    (tmp_path / "words.txt.gz").write_bytes(gzip.compress(merges.encode()))

    def describe(file="words.txt.gz", vocab_size=512 + 3 + 2):
        config = tiny_config()
        config["text_cfg"] |= dict(bpe_file=file, vocab_size=vocab_size)
        return get_architecture(config)

    return describe


def test_merges_of_its_own(packaged):
    tokenizer = build_tokenizer(packaged())
    assert tokenizer.vocab_size == 517 and tokenizer.eot_token_id == 516
    assert tokenizer.context_length == 16
    assert count_tokens(tokenizer, ["cat", "dog"]) == [3, 4]


def test_merges_that_are_missing(packaged, tmp_path):
    with pytest.raises(WeightsNotFoundError, match=f"no tokenizer merges at {tmp_path}/other"):
        build_tokenizer(packaged("other.gz"))


def test_merges_of_another_tower(packaged):
    with pytest.raises(ConfigError, match="has 517 tokens and its text tower 300"):
        build_tokenizer(packaged(vocab_size=300))


@pytest.mark.parametrize(
    ("raised", "expected", "says"),
    [
        (OSError("no network"), WeightsNotFoundError, "HF_HOME.*nano models need no download"),
        (ImportError("transformers"), ConfigError, "pip install transformers"),
    ],
)
def test_hub_tokenizer_that_cannot_be_had(monkeypatch, raised, expected, says):
    def fail(model):
        assert model == "ViT-B-16-SigLIP"
        raise raised

    monkeypatch.setattr(clip_tokenizer, "get_tokenizer", fail)
    with pytest.raises(expected, match=says):
        build_tokenizer(get_architecture("ViT-B-16-SigLIP"))
