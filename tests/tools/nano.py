"""The recipes in tools/nano, which import one another as scripts do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

NANO = Path(__file__).parents[2] / "tools" / "nano"
sys.path.insert(0, str(NANO))

import clip_data  # noqa: E402
import clip_loss  # noqa: E402
import clip_model  # noqa: E402
import clip_score  # noqa: E402
import convclip_data  # noqa: E402
import convclip_model  # noqa: E402
import dino_data  # noqa: E402
import dino_loss  # noqa: E402
import dino_model  # noqa: E402
import dino_whiten  # noqa: E402
import fast_norm  # noqa: E402
import make_tokenizer  # noqa: E402
import pack  # noqa: E402
import run  # noqa: E402
import sam_data  # noqa: E402
import sam_loss  # noqa: E402
import sam_model  # noqa: E402
import score_convclip  # noqa: E402
import score_dino  # noqa: E402
import score_fcclip  # noqa: E402
import score_retrieval  # noqa: E402
import score_sam  # noqa: E402
import train_all  # noqa: E402
import train_clip  # noqa: E402
import train_convclip  # noqa: E402
import train_dino  # noqa: E402
import train_sam  # noqa: E402

__all__ = [
    "NANO",
    "clip_data",
    "clip_loss",
    "clip_model",
    "clip_score",
    "convclip_data",
    "convclip_model",
    "dino_data",
    "dino_loss",
    "dino_model",
    "dino_whiten",
    "fast_norm",
    "make_tokenizer",
    "pack",
    "recorded_by",
    "run",
    "sam_data",
    "sam_loss",
    "sam_model",
    "score_convclip",
    "score_dino",
    "score_fcclip",
    "score_retrieval",
    "score_sam",
    "train_all",
    "train_clip",
    "train_convclip",
    "train_dino",
    "train_sam",
]


def recorded_by(recipe: ModuleType, **given: Any) -> dict[str, Any]:
    """Arguments in the record of a recipe that was started with some given, the rest its own."""
    arguments = vars(recipe.parse_args([])) | given
    return {k: v for k, v in arguments.items() if k != "work_dir"}
