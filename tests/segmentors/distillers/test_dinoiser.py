"""CLIP-DINOiser's training.

The recording is of wysoczanska/clip_dinoiser a954aae with valeoai/FOUND 1ad22ba and
facebookresearch/dino 7c446df: three steps of their `do_train` (tools/record/
record_dinoiser_training.py), in float32 on the CPU.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.optim import MultiStepLR

from ovseg.engine import RateByPart
from ovseg.errors import ConfigError
from ovseg.heads import DINOiserHead
from tests.segmentors.distillers import drawn_distiller as case

DATA = Path(__file__).parents[1] / "data" / "dinoiser_training.npz"


def close(found, expected, relative=1e-4):
    found, expected = torch.as_tensor(np.asarray(found)), torch.as_tensor(expected)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < relative * expected.abs().max()


def part(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().flatten()[:: case.KEPT].numpy()


@pytest.fixture(scope="module")
def recorded():
    with np.load(DATA) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_targets_are_those_of_the_authors(recorded):
    model = case.build_drawn()
    for step, images in enumerate(case.batches()):
        related, things = model.targets(model.batch(list(images)), (6, 6))
        for target, name in ((related, "correlation"), (things, "foreground")):
            assert 0.1 < target.mean() < 0.9  # neither is the same everywhere
            expected = recorded[f"target_{name}"][step]
            np.testing.assert_array_equal(np.packbits(target.numpy() > 0), expected)


def test_three_steps_go_as_those_of_the_authors(recorded):
    """Losses, gradients, learning rates and in the end the weights."""
    model = case.build_drawn()
    wrapper = dict(optimizer=dict(type="AdamW", lr=case.RATES["corr_lr"]))
    rates = {"rates": {"head.bkg_decoder": case.RATES["found_lr"]}}
    wrapper = RateByPart(wrapper, rates)(model)
    schedule = MultiStepLR(wrapper, [case.MILESTONE], case.GAMMA, by_epoch=False)
    grads: dict[str, np.ndarray] = {}

    def watched(*_, inner=wrapper.optimizer.step, **__):
        grads.update({name: part(p.grad) for name, p in model.head.named_parameters()})
        inner()

    wrapper.optimizer.step = watched
    for step, images in enumerate(case.batches()):
        close([group["lr"] for group in wrapper.optimizer.param_groups], recorded["lr"][step])
        with torch.no_grad():
            batch = model.batch(list(images))
            correlations, logits = model.predict(model.patches(batch))
        close(part(correlations.clamp(min=0)), recorded["said_correlation"][step])
        close(part(logits), recorded["said_foreground"][step])
        losses = model.train_step({"inputs": list(images)}, wrapper)
        schedule.step()
        for name in ("correlation", "foreground"):
            close(losses[f"loss_{name}"].item(), recorded[f"loss_{name}"][step])
        for name, grad in grads.items():
            close(grad, recorded[f"grad_{name}"][step])
    for name, weight in model.head.named_parameters():
        close(part(weight), recorded[f"weight_{name}"])


def test_only_the_convolutions_are_trained():
    model = case.build_random()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {f"head.{name}" for name, _ in model.head.named_parameters()}
    model.train()
    assert model.head.training
    assert not model.image_encoder.training


def test_what_is_released_is_what_inference_loads(tmp_path):
    model = case.build_drawn()
    torch.save(model.released(model.state_dict()), tmp_path / "last.pt")
    head = DINOiserHead(width=32, dim=12, weights=tmp_path / "last.pt")
    for name, tensor in head.state_dict().items():
        assert torch.equal(tensor, model.head.state_dict()[name])
    begun = case.build_random(head={"dim": 12, "weights": tmp_path / "last.pt"})
    assert begun.head.obj_proj.weight.requires_grad
    assert torch.equal(begun.head.obj_proj.weight, model.head.obj_proj.weight)


def test_mixed_precision_is_close_and_has_the_same_targets():
    model = case.build_drawn()
    images = list(case.batches()[0])
    whole = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(images)
        related, _ = model.targets(model.batch(images), (6, 6))
    for name, value in whole.items():
        assert value.dtype == mixed[name].dtype == torch.float32
        assert mixed[name].item() == pytest.approx(value.item(), rel=1e-2)
    expected, _ = model.targets(model.batch(images), (6, 6))
    assert torch.equal(related, expected)


def test_batches_are_the_mean_of_their_images():
    model = case.build_drawn()
    images = list(case.batches()[0])
    together, alone = model(images), [model([image]) for image in images]
    for name, value in together.items():
        close(value.item(), np.mean([one[name].item() for one in alone]), 1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guide": {"type": "DINOGuide", "encoder": "sam"}}, "'sam', which is not among clip"),
        ({"foreground": {"type": "SeedForeground", "encoder": "x"}}, "SeedForeground asks for"),
        ({"gamma": 1.5}, "gamma and threshold lie in"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(ConfigError, match=message):
        case.build_random(**changes)


def test_what_it_is_not_for():
    model = case.build_random()
    with pytest.raises(ConfigError, match="crop them to one size"):
        model([torch.zeros(3, 48, 48, dtype=torch.uint8), torch.zeros(3, 40, 48)])
    with pytest.raises(ConfigError, match="only trained"):
        model([torch.zeros(3, 48, 48)], mode="predict")


def test_any_guide_and_any_foreground_can_teach():
    model = case.build_random(
        guide={"type": "CLIPGuide", "encoder": "clip", "feature": "k"},
        foreground={"type": "SeedForeground", "encoder": "dino"},
    )
    losses = model(list(case.batches()[0]))
    assert all(torch.isfinite(value) for value in losses.values())
