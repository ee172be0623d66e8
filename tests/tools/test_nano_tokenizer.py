from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest
from open_clip.tokenizer import SimpleTokenizer

from ovseg.datasets.scenes.classes import CLASSES, COLORS
from tests.tools.nano import clip_model, make_tokenizer

CORPUS = Counter(low=5, lower=2, newest=6, widest=3)


def test_merges_join_the_most_frequent_neighbors_first():
    # Worked by hand; ties go to the pair that is first in the alphabet.
    assert make_tokenizer.learn_merges(CORPUS, 4) == [
        ("e", "s"),  # 9, as often as ("s", "t</w>")
        ("es", "t</w>"),  # 9
        ("l", "o"),  # 7
        ("e", "w"),  # 6, as often as ("n", "e") and ("w", "est</w>")
    ]


def test_merges_end_when_every_word_is_one_piece():
    merges = make_tokenizer.learn_merges(Counter(ab=3), 10)
    assert merges == [("a", "b</w>")]


def test_merges_of_text_that_is_not_ascii_work_on_bytes():
    assert len(make_tokenizer.learn_merges(Counter({"é": 2}), 5)) == 1


def test_the_file_is_read_by_open_clip(tmp_path, capsys):
    path = tmp_path / "bpe.txt.gz"
    make_tokenizer.main([str(path), "--merges", "40", "--scenes", "4"])
    assert "40 merges" in capsys.readouterr().out
    tokenizer = SimpleTokenizer(str(path))
    assert tokenizer.vocab_size == 512 + 40 + 2
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    assert len(lines) == 1 + 40
    for text in ("two orange butterflies on snow", "une forêt, 3 ours!"):
        assert tokenizer.decode(tokenizer.encode(text)).strip().replace(" ", "") == text.replace(
            " ", ""
        )
    again = tmp_path / "again.gz"
    make_tokenizer.main([str(again), "--merges", "40", "--scenes", "4"])
    assert again.read_bytes() == path.read_bytes()


@pytest.fixture(scope="module")
def shipped() -> tuple[SimpleTokenizer, dict]:
    config = json.loads((clip_model.ASSETS / "nano-vit-8.json").read_text())
    return SimpleTokenizer(str(clip_model.ASSETS / config["text_cfg"]["bpe_file"])), config


def test_the_shipped_file_fills_the_embedding_table(shipped):
    tokenizer, config = shipped
    assert tokenizer.vocab_size == config["text_cfg"]["vocab_size"]
    highest = max(tokenizer.encode("a photo of a xylophone, über 5 €")) + 2
    assert highest < config["text_cfg"]["vocab_size"]


@pytest.mark.parametrize("name", [*CLASSES, *COLORS])
def test_the_words_of_the_scenes_are_one_token_each(shipped, name):
    assert len(shipped[0].encode(name)) == len(name.split())
