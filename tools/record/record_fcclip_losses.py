"""Record what the public code of FC-CLIP computes as matching and losses of drawn predictions.

    python tools/record/record_fcclip_losses.py --authors CHECKOUTS --out tests/heads/data

CHECKOUTS holds the folder `fc-clip` (github.com/bytedance/fc-clip, at 2b0bbe2). Of detectron2 the
code asks for `point_sample`, `get_uncertain_point_coords_with_randomness` and `get_world_size`: it
has to be installed, or a stand-in of these three has to be on PYTHONPATH. Predictions, targets and
random points are drawn by tests/heads/criterion_case.py; for each case the matching of every
layer, all losses with the published weights, and the gradients of their sum are stored.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.heads import criterion_case as case  # noqa: E402

# Their names of the losses, and ours.
NAMES = {"loss_ce": "loss_class", "loss_mask": "loss_mask", "loss_dice": "loss_dice"}


def import_code(authors: Path):
    """Their matcher and criterion, without the rest of their package."""
    for name, folder in (("fcclip", "fcclip"), ("fcclip.modeling", "fcclip/modeling")):
        package = types.ModuleType(name)
        package.__path__ = [str(authors / "fc-clip" / folder)]
        sys.modules[name] = package
    matcher = importlib.import_module("fcclip.modeling.matcher")
    criterion = importlib.import_module("fcclip.modeling.criterion")
    return matcher.HungarianMatcher, criterion.SetCriterion


def record(name: str, matcher_class, criterion_class) -> dict[str, np.ndarray]:
    """Arrays of one case."""
    settings = case.CASES[name]
    predictions, targets = case.draw_case(name)
    weights = dict(zip(NAMES, case.WEIGHTS, strict=True))
    matcher = matcher_class(*case.WEIGHTS, num_points=settings["points"])
    criterion = criterion_class(
        settings["classes"],
        matcher=matcher,
        weight_dict=weights,
        eos_coef=case.VOID,
        losses=["labels", "masks"],
        num_points=settings["points"],
        oversample_ratio=3.0,
        importance_sample_ratio=0.75,
    )
    theirs = [dict(pred_logits=p["logits"], pred_masks=p["masks"]) for p in predictions]
    wanted = [dict(labels=labels, masks=masks) for labels, masks in targets]
    found: dict[str, np.ndarray] = {}
    pairs: list = []
    forward = matcher.memory_efficient_forward
    matcher.memory_efficient_forward = lambda *a: pairs.append(forward(*a)) or pairs[-1]
    torch_rand, torch.rand = torch.rand, case.Points()
    try:
        losses = criterion(dict(theirs[-1], aux_outputs=theirs[:-1]), wanted)
    finally:
        torch.rand = torch_rand
    total = 0.0
    for key, value in losses.items():
        stem = next(stem for stem in weights if key.startswith(stem))
        weighted = value * weights[stem]
        found[key.replace(stem, NAMES[stem])] = weighted.detach().numpy()
        total = total + weighted
    total.backward()
    for layer, prediction in enumerate(predictions):
        # Their own order: the last layer first.
        matched = pairs[0] if layer == len(predictions) - 1 else pairs[layer + 1]
        for image, (queries, segments) in enumerate(matched):
            found[f"pairs_{layer}_{image}"] = np.stack([queries.numpy(), segments.numpy()])
        found[f"grad_logits_{layer}"] = prediction["logits"].grad.numpy()
        found[f"grad_masks_{layer}"] = prediction["masks"].grad.numpy()
    return found


def main() -> None:
    """Record all cases."""
    parser = argparse.ArgumentParser(description="Record losses of the public code of FC-CLIP.")
    parser.add_argument("--authors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    classes = import_code(arguments.authors)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in case.CASES:
        np.savez_compressed(arguments.out / f"fcclip-losses-{name}.npz", **record(name, *classes))


if __name__ == "__main__":
    main()
