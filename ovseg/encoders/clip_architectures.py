"""What a CLIP model is made of: open_clip's descriptions, the packaged ones, or one given."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

from ovseg.encoders.sources import is_packaged, nano_file
from ovseg.errors import ConfigError

__all__ = ["ClipArchitecture", "get_architecture", "packaged_architectures"]


@dataclasses.dataclass(frozen=True)
class ClipArchitecture:
    """Sizes of a CLIP model and how its images are normalised.

    Attributes:
        name: Name in open_clip, of a packaged description, or ``custom-<digest>``.
        embed_dim: Length of the shared image and text embedding.
        vision: Keys of ``open_clip.CLIPVisionCfg``.
        text: Keys of ``open_clip.CLIPTextCfg``.
        quick_gelu: The sigmoid approximation of GELU, as OpenAI's models use it.
        mean: RGB mean, values 0..1.
        std: RGB standard deviation.
        bpe_file: A tokenizer's merges, a gzip text file; open_clip's own when None. Its path is
            relative to the packaged assets unless absolute.
    """

    name: str
    embed_dim: int
    vision: Mapping[str, Any]
    text: Mapping[str, Any]
    quick_gelu: bool = False
    mean: tuple[float, float, float] = OPENAI_DATASET_MEAN
    std: tuple[float, float, float] = OPENAI_DATASET_STD
    bpe_file: str | None = None

    def for_tag(self, tag: str | None) -> ClipArchitecture:
        """The architecture as the weights of ``tag`` were trained: activation, mean and std.

        The activation is no part of a checkpoint, and the wrong one costs several points without
        any error; so it follows the tag. A tag open_clip does not know changes nothing.
        """
        from open_clip.pretrained import get_pretrained_cfg

        entry = None if tag is None or is_packaged(tag) else get_pretrained_cfg(self.name, tag)
        if not entry:
            return self
        return dataclasses.replace(
            self,
            quick_gelu=bool(entry.get("quick_gelu", False)),
            mean=tuple(entry["mean"]),
            std=tuple(entry["std"]),
        )


def packaged_architectures() -> list[str]:
    """Names of the CLIP descriptions shipped in this package."""
    return sorted(path.stem for path in nano_file("").glob("*.json") if _is_clip(path))


def _is_clip(path) -> bool:
    return {"vision_cfg", "text_cfg"} <= set(json.loads(path.read_text(encoding="utf-8")))


def get_architecture(model: str | Mapping[str, Any]) -> ClipArchitecture:
    """Describe a CLIP model.

    Args:
        model: A name open_clip knows (``ViT-B-16``; ``ViT-B/16`` is the same), a packaged one, or
            a description: ``embed_dim``, ``vision_cfg``, ``text_cfg`` and optionally
            ``quick_gelu``, ``preprocess_cfg`` (``mean``, ``std``), ``name``. ``text_cfg`` may name
            a ``bpe_file``.

    Raises:
        ConfigError: Unknown name, or a description without a needed key.
    """
    if isinstance(model, Mapping):
        content = json.dumps(model, sort_keys=True, default=str)
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return _parse(model.get("name", f"custom-{digest}"), model)
    name = model.replace("/", "-")
    packaged = nano_file(f"{name}.json")
    if packaged.is_file():
        return _parse(name, json.loads(packaged.read_text(encoding="utf-8")))
    from open_clip import get_model_config, list_models

    config = get_model_config(name) if ":" not in name else None
    if config is None:
        known = [*packaged_architectures(), *list_models()]
        close = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
        raise ConfigError(
            f"no CLIP architecture is called {model!r}: "
            + (f"did you mean {', '.join(close)}?" if close else "see open_clip.list_models().")
        )
    return _parse(name, config)


def _parse(name: str, config: Mapping[str, Any]) -> ClipArchitecture:
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if key not in config:
            raise ConfigError(f"the description of CLIP model {name!r} lacks {key!r}.")
    text = copy.deepcopy(dict(config["text_cfg"]))
    bpe_file = text.pop("bpe_file", None)
    preprocess = config.get("preprocess_cfg") or {}
    return ClipArchitecture(
        name=name,
        embed_dim=config["embed_dim"],
        vision=copy.deepcopy(dict(config["vision_cfg"])),
        text=text,
        quick_gelu=bool(config.get("quick_gelu", False)),
        mean=tuple(preprocess.get("mean", OPENAI_DATASET_MEAN)),
        std=tuple(preprocess.get("std", OPENAI_DATASET_STD)),
        bpe_file=bpe_file,
    )
