"""Agreement with the authors' public code, recorded by tools/record/record_guided.py.

ProxyCLIP: github.com/mc-lan/ProxyCLIP, its custom attention on its own open_clip and
facebookresearch's DINO. CLIP-DINOiser: github.com/wysoczanska/clip_dinoiser, both of its models.
FOUND: github.com/valeoai/FOUND, its background segmentation. float32 on the CPU, windows of 48
pixels with patches of 8 (CLIP) and 4 (DINO).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ovseg.dense import Window, WindowBatch
from tests import drawn
from tests.dense.drawn_models import drawn_segmentor, pictures

DATA = Path(__file__).parent / "data"
WHOLE = Window(0, 0, drawn.SIDE, drawn.SIDE)


def recorded(method: str) -> dict[str, torch.Tensor]:
    with np.load(DATA / f"{method}.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def assert_agree(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Largest difference in units of the largest value."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() / expected.abs().max() < 1e-4


@torch.no_grad()
def test_dino_features():
    model = drawn_segmentor("proxyclip")
    batch = WindowBatch(pictures(), [WHOLE, WHOLE])
    guide = model.guide(batch, model.encoders["dino"])
    assert_agree(guide[:, ::5, ::3, ::3], recorded("proxyclip")["guide"])


@torch.no_grad()
@pytest.mark.parametrize(("method", "name"), [("proxyclip", "window"), ("trident_read", "picture")])
def test_proxy_attention(method, name):
    model = drawn_segmentor(method, position="bicubic_offset", quick_gelu=True)
    # For the mean over a picture the windows are read one after the other, theirs as one batch.
    batches = [WindowBatch([picture], [WHOLE]) for picture in pictures()]
    features = torch.cat(list(model.read_batches(batches)))
    unit = torch.nn.functional.normalize(features.flatten(1, 2), dim=-1)
    assert_agree(unit @ drawn.draw_text().T, recorded("proxyclip")[name])


def test_the_two_means_differ():
    expected = recorded("proxyclip")
    assert (expected["window"] - expected["picture"]).abs().max() > 0.005


@torch.no_grad()
@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("student", "student_plain"),
        ("student_background", "student_background"),
        ("teacher", "teacher"),
    ],
)
def test_clip_dinoiser(method, name):
    model = drawn_segmentor(method)
    words = [f"class {i}" for i in range(drawn.QUERIES - 1)]
    model.set_vocabulary(words, background=["background"])
    model.text = drawn.draw_text()
    expected = recorded("clip_dinoiser")[name]
    for picture, theirs in zip(pictures(), expected, strict=True):
        (logits,) = model.logits([picture])
        cosines = (logits.features[0] @ logits.text.T).permute(2, 0, 1)
        assert_agree(logits.name(cosines, logits.windows[0]), theirs)


def test_the_background_is_not_everywhere():
    expected = recorded("clip_dinoiser")
    share = (expected["student_background"][:, 0] == 1).float().mean()
    assert 0.05 < share < 0.95
    assert 0.05 < expected["seed_background"].mean() < 0.95


@torch.no_grad()
def test_found_seeds():
    model = drawn_segmentor("teacher_background")
    batch = WindowBatch(pictures(), [WHOLE, WHOLE])
    things = model.foreground(batch, model.encoders["dino"])
    assert torch.equal(1 - things, recorded("clip_dinoiser")["seed_background"])
