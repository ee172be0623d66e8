from __future__ import annotations

import pytest
import torch

from ovseg.heads.class_words import ClassWords, best_words, class_logits, seen_classes


@pytest.mark.parametrize(
    ("owners", "expected"),
    [([0, 1, 2], [3.0, -5.0, 1.0]), ([0, 0, 1], [3.0, 1.0]), ([0, 0, 0], [3.0])],
)
def test_the_best_word_speaks(owners, expected):
    words = ClassWords(torch.eye(3), torch.tensor(owners), len(set(owners)))
    found = best_words(torch.tensor([[3.0, -5.0, 1.0]]), words)
    assert found.tolist() == [expected]


def test_only_the_best_word_learns():
    words = ClassWords(torch.eye(3), torch.tensor([0, 0, 1]), 2)
    logits = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    best_words(logits, words).sum().backward()
    assert logits.grad.tolist() == [[0.0, 1.0, 1.0]]


def test_logits_are_scaled_cosines():
    words = ClassWords(torch.eye(2), torch.arange(2), 2)
    found = class_logits(torch.tensor([[[3.0, 4.0]]]), words, 10)
    torch.testing.assert_close(found, torch.tensor([[[6.0, 8.0]]]))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([["cat"], ["dog"]], [True, False]),
        ([["kitten", "Cats"]], [True]),
        ([["cat tree"], ["unicorn"]], [False, False]),
        ([["sky", "cat"]], [True]),
    ],
)
def test_seen_classes_share_a_word(asked, expected):
    assert seen_classes([["cat", "cats"], ["sky"]], asked).tolist() == expected


@pytest.mark.parametrize("name", ["ade20k-150", "cityscapes-19", "pascal-context-59", "voc-20"])
def test_letter_case_decides_nothing_on_published_lists(name):
    from ovseg.text import Vocabulary

    known = Vocabulary.load("coco-panoptic-133/fcclip").words
    asked = Vocabulary.load(f"{name}/fcclip").words
    exact = {word for words in known for word in words}
    expected = [not exact.isdisjoint(words) for words in asked]
    assert seen_classes(known, asked).tolist() == expected
    assert any(expected)
