"""From a picture's first window to its last band no method waits for a GPU.

On the meta device tensors have no numbers: whatever asks for one fails there. What is sent there
from the CPU is found by looking at every operation. Trident's refinement is left away: which
regions there are is decided on the CPU.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ovseg.dense import Picture, Resized
from ovseg.dense.decode import _bands
from tests.drawn import draw_picture
from tests.small_methods import METHODS, give_words, small_method

FOREGROUND = {"protocol": {"foreground_threshold": 0.5, "softmax": "patches"}}
ROWS = [
    *((name, {}) for name in METHODS),
    ("clip_dinoiser_vit-b16", FOREGROUND),
    ("cliptrase_vit-b16", {"class_token_factor": True}),
]


class Watch(TorchDispatchMode):
    """Fails where something is sent from one device to another and waited for."""

    def __torch_dispatch__(self, function, types, arguments=(), settings=None):
        settings = settings or {}
        made = function(*arguments, **settings)
        sent = {"aten::_to_copy": 0, "aten::copy_": 1}.get(function._schema.name)
        if sent is not None and not settings.get("non_blocking"):
            assert arguments[sent].device == made.device, f"{function} waits"
        return made


def name_all(model, pictures: list[Picture]) -> None:
    """All that the device does for some pictures, but for giving back the labels."""
    naming = model.naming()
    every = torch.ones(len(naming.query_to_class), dtype=torch.bool)
    for picture, logits in zip(pictures, model.logits(pictures), strict=True):
        logits = Resized(model.as_logits(logits), (97, 131))
        if hasattr(model.refiner, "flowed"):
            logits = model.refiner.flowed(logits, picture)
        chosen = (naming.query_to_class, naming.scale, every, naming.background)
        for _ in _bands(logits, *chosen, with_probability=True, band_bytes=2**18):
            pass


def prepared(name: str, settings: dict, device: str):
    """A method and two pictures on a device."""
    made = small_method(name, **settings)
    give_words(made)
    model = made.model
    if settings == FOREGROUND:
        model.vocabulary = dataclasses.replace(model.vocabulary, background=0)
    model = model.to(device)
    originals = [draw_picture(48, 64, seed=seed) for seed in (1, 2)]
    return model, [Picture(original.to(device), original) for original in originals]


@pytest.mark.parametrize(("name", "settings"), ROWS)
def test_nothing_is_waited_for(name, settings):
    model, pictures = prepared(name, settings, "meta")
    with torch.no_grad(), Watch():
        name_all(model, pictures)


@pytest.mark.parametrize(
    "wait",
    [
        lambda far: torch.ones(3).to(far.device),
        lambda far: far.copy_(torch.ones(3)),
        lambda far: float(far.sum()),
        lambda far: far.cpu(),
        lambda far: far[far > 0],
    ],
)
def test_waiting_is_noticed(wait):
    with pytest.raises((AssertionError, RuntimeError)), Watch():
        wait(torch.empty(3, device="meta"))


@contextlib.contextmanager
def waiting_is_an_error() -> Iterator[None]:
    """As CUDA itself tells it."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("name", "settings"), ROWS)
def test_nothing_is_waited_for_on_a_gpu(name, settings):
    with torch.no_grad():
        name_all(*prepared(name, settings, "cuda"))  # once: constants are sent there
        model, pictures = prepared(name, settings, "cuda")
        with waiting_is_an_error():
            name_all(model, pictures)
