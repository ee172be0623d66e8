"""Captions found for pictures, and pictures for captions."""

from __future__ import annotations

import pytest
import torch

from tests.tools.nano import score_retrieval

UNITS = torch.eye(12)
CAPTIONS = [str(i) for i in range(12)]


@pytest.mark.parametrize(
    ("texts", "captions", "first"),
    [
        (UNITS, CAPTIONS, 100.0),
        (UNITS.roll(1, 0), CAPTIONS, 0.0),
        # Two captions changed places: wrong for both, unless they say the same.
        (UNITS[[1, 0, *range(2, 12)]], CAPTIONS, 83.3),
        (UNITS[[1, 0, *range(2, 12)]], ["0", "0", *CAPTIONS[2:]], 100.0),
    ],
)
def test_first_places(texts, captions, first):
    found = score_retrieval.recalls(3 * UNITS, texts, captions)
    assert found["caption_of_picture_R1"] == found["picture_of_caption_R1"] == first
    assert found["caption_of_picture_R1"] <= found["caption_of_picture_R5"]


def test_both_ways_are_asked():
    """All pictures lie nearest to one caption: one of them is right to."""
    texts = UNITS.clone()
    texts[3] = 1.0
    pictures = UNITS + 1.0
    found = score_retrieval.recalls(pictures, texts, CAPTIONS)
    assert found["caption_of_picture_R1"] == 8.3
    assert found["picture_of_caption_R1"] > 90


def test_the_tower_of_clipself_still_finds_captions():
    from ovseg.encoders import CLIPText, CLIPViT

    tower = CLIPViT("nano-vit-8", "ovseg-clipself")
    found = score_retrieval.scores(tower, CLIPText("nano-vit-8", "ovseg"), "check", 24)
    assert min(found["caption_of_picture_R5"], found["picture_of_caption_R5"]) > 90
