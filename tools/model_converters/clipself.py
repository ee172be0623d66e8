#!/usr/bin/env python
"""Turn a checkpoint of CLIPSelf into a CLIP of open_clip's layout, which every method can read.

    python tools/model_converters/clipself.py \\
        work_dirs/clipself_eva02-b16_coco_train/iter_44358.pth \\
        clipself_eva02-b16.safetensors --blend 0.7
    python tools/model_converters/clipself.py eva_vitb16_coco_clipself_patches.pt \\
        clipself_eva02-b16.safetensors

The first is a checkpoint of a training here: the tower, blended with what it began as where that is
asked for, and the text tower it belongs to. The second is one of the authors (or any EVA02-CLIP in
their layout), whose tensors are renamed. Name the result in `image_encoder.weights`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ovseg.apis.running import report_errors
from ovseg.encoders.clip_saving import save_clip
from ovseg.encoders.eva_names import is_eva_clip, rename_eva_clip
from ovseg.encoders.weights import load_state_dict
from ovseg.errors import CheckpointMismatchError
from ovseg.registry import MODELS
from ovseg.utils.checkpoints import check_state_dict, load_checkpoint
from ovseg.utils.frozen import check_frozen, frozen_prefixes

_TOWER = "student."


def convert(source: Path, target: Path, blend: float = 1.0) -> str:
    """Write the CLIP of a checkpoint.

    Args:
        source: A checkpoint of a training, or the authors'.
        target: A file ending in .safetensors.
        blend: Share of the trained weights, see `TowerTrainer.save_tower`; for a checkpoint of a
            training.

    Returns:
        What was done, in words.

    Raises:
        CheckpointMismatchError: The checkpoint is neither.
        WeightsError: It is missing or unsafe.
        ConfigError: The blend is none.
        SaveError: The result cannot be written.
    """
    checkpoint = load_checkpoint(source)
    meta = checkpoint.get("meta") if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict) and "cfg" in meta:
        return _from_training(source, checkpoint, target, blend)
    state = load_state_dict(source)
    if not is_eva_clip(state):
        raise CheckpointMismatchError(
            f"{source} is neither a checkpoint of a training by CLIPSelf nor an EVA02-CLIP in its "
            "authors' layout."
        )
    renamed = rename_eva_clip(state)
    save_clip(target, renamed, {"source": source.name})
    return f"{len(renamed)} tensors renamed, {len(state) - len(renamed)} computed ones left out"


def _from_training(source: Path, checkpoint: dict, target: Path, blend: float) -> str:
    state = checkpoint["state_dict"]
    if not any(name.startswith(_TOWER) for name in state):
        raise CheckpointMismatchError(f"{source} holds no tower: it is of another training.")
    config = Config.fromstring(checkpoint["meta"]["cfg"], ".py")
    init_default_scope(config.get("default_scope", "ovseg"))
    model = MODELS.build(config.model)
    check_frozen(model, checkpoint["meta"].get("frozen") or {}, str(source))
    check_state_dict(model, state, str(source), frozen_prefixes(model))
    model.load_state_dict(state, strict=False)
    model.save_tower(target, blend, iterations=checkpoint["meta"].get("iter"))
    return f"the tower of iteration {checkpoint['meta'].get('iter')}, {blend:g} of it"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description="Turn a checkpoint of CLIPSelf into a CLIP.")
    parser.add_argument("source", type=Path, metavar="CHECKPOINT")
    parser.add_argument("target", type=Path, metavar="FILE.safetensors")
    parser.add_argument(
        "--blend", type=float, default=1.0, help="share of the trained weights (1.0)"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    arguments = parse_args(argv)

    def run() -> None:
        what = convert(arguments.source, arguments.target, arguments.blend)
        print(f"{what}: {arguments.target}")

    return report_errors(run, "the same command begins anew")


if __name__ == "__main__":
    sys.exit(main())
