from __future__ import annotations

import pytest
import torch
from open_clip.transformer import TextTransformer

from ovseg.encoders.text_pass import text_pass

SIZES = {"context_length": 20, "vocab_size": 50, "width": 32, "heads": 4, "layers": 2}


def token_ids(lengths, context=20, end=49):
    ids = torch.zeros(len(lengths), context, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, : length - 1] = torch.randint(1, end, (length - 1,))
        ids[row, length - 1] = end
    return ids


@pytest.mark.parametrize("lengths", [[2], [5, 3, 9], [20, 4], [20, 20]])
@pytest.mark.parametrize(
    "variant",
    [
        {"output_dim": 16},
        {"output_dim": 16, "proj_bias": True},
        {"output_dim": None, "proj_type": "none"},
        {"output_dim": 16, "no_causal_mask": True},  # must see the whole context
        {"output_dim": 16, "embed_cls": True},
        {"output_dim": 16, "pool_type": "last"},
    ],
    ids=str,
)
def test_equals_the_whole_context(variant, lengths):
    torch.manual_seed(0)
    tower = TextTransformer(**SIZES, **variant).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.mul_(3)
        ids = token_ids(lengths, 20)
        torch.testing.assert_close(text_pass(tower, ids), tower(ids), rtol=1e-4, atol=1e-5)


def test_reads_no_more_than_the_longest_text():
    tower = TextTransformer(**SIZES, output_dim=16).eval()
    seen = []
    tower.transformer.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    text_pass(tower, token_ids([4, 7]))
    assert seen == [7]
