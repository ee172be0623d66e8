"""`compile` changes how blocks are run and nothing else."""

from __future__ import annotations

import pytest
import torch

from tests.drawn import draw_picture
from tests.small_methods import give_words, small_method


@pytest.mark.parametrize(
    ("name", "precision"), [("proxyclip_vit-b16", None), ("trident_vit-b16", "bf16")]
)
def test_compiled_blocks_give_the_same_labels(name, precision):
    image = draw_picture(48, 64, seed=4).permute(1, 2, 0).numpy()
    plain = small_method(name, precision=precision)
    # Traced and run without a compiler of the machine, which takes minutes; whole or not at all.
    options = dict(backend="aot_eager", fullgraph=True)
    compiled = small_method(name, precision=precision, compile=options)
    encoders = [compiled.model.image_encoder, *compiled.model.encoders.values()]
    assert all(block._compiled_call_impl is not None for e in encoders for block in e.blocks)
    assert set(compiled.model.state_dict()) == set(plain.model.state_dict())
    found, expected = (made.segment(image, give_words(made)) for made in (compiled, plain))
    agreement = (found.mask == expected.mask).mean()
    assert agreement > (0.999 if precision is None else 0.97)
    torch._dynamo.reset()


def test_encoders_without_blocks_are_left_alone():
    from ovseg.encoders.base import Encoder

    class Bare(Encoder):
        fingerprint = "bare/random"

    encoder = Bare()
    encoder.compile_blocks()
    assert encoder.blocks == []
