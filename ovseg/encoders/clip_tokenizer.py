"""The tokenizer of a CLIP model, and how many tokens a text needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from open_clip import get_tokenizer
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

from ovseg.encoders.clip_architectures import ClipArchitecture
from ovseg.encoders.sources import nano_file
from ovseg.errors import ConfigError, WeightsNotFoundError

__all__ = ["Tokenizer", "build_tokenizer", "count_tokens"]


class Tokenizer(Protocol):
    """What open_clip's tokenizers have in common."""

    def __call__(self, texts: list[str]) -> torch.Tensor:
        """Token ids (n, context length) int64; longer texts are cut."""


def build_tokenizer(architecture: ClipArchitecture) -> Tokenizer:
    """The tokenizer the model was trained with.

    Raises:
        WeightsNotFoundError: A packaged merges file is missing, or the tokenizer lives on the
            Hugging Face hub and cannot be had.
        ConfigError: It needs the package ``transformers``, or its ids exceed the text tower's
            vocabulary.
    """
    text = architecture.text
    context = text.get("context_length", 77)
    options = dict(text.get("tokenizer_kwargs") or {})
    if architecture.bpe_file is not None:
        path = nano_file(architecture.bpe_file)
        if not path.is_file():
            raise WeightsNotFoundError(
                f"no tokenizer merges at {path} (bpe_file of {architecture.name}): "
                "reinstall the package, or correct the description."
            )
        tokenizer = SimpleTokenizer(bpe_path=str(path), context_length=context, **options)
    elif text.get("hf_tokenizer_name"):
        return _from_hub(architecture.name, text["hf_tokenizer_name"])
    else:
        tokenizer = SimpleTokenizer(context_length=context, **options)
    size = text.get("vocab_size", 49408)
    if tokenizer.vocab_size > size:
        raise ConfigError(
            f"the tokenizer of {architecture.name} has {tokenizer.vocab_size} tokens and its text "
            f"tower {size} (vocab_size): they do not belong together."
        )
    return tokenizer


def _from_hub(model: str, name: str) -> Tokenizer:
    try:
        return get_tokenizer(model)
    except ImportError as error:
        raise ConfigError(
            f"the tokenizer of {model} needs the package transformers: pip install transformers."
        ) from error
    except (OSError, ValueError) as error:
        raise WeightsNotFoundError(
            f"the tokenizer {name!r} of {model} is not on this machine and cannot be downloaded "
            f"from https://huggingface.co/{name}: run once with network, or copy the Hugging Face "
            "cache (HF_HOME) from a machine that has it. The nano models need no download."
        ) from error


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Tokens each text needs, uncut, with its start and end token."""
    if isinstance(tokenizer, HFTokenizer):
        cleaned = [tokenizer.clean_fn(text) for text in texts]
        return [len(ids) for ids in tokenizer.tokenizer(cleaned).input_ids] if cleaned else []
    return [len(tokenizer.encode(text)) + 2 for text in texts]
