"""CLIP text towers, loaded when the first text is encoded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from ovseg.encoders.base import PRECISIONS, Encoder
from ovseg.encoders.clip_loading import build_text_tower, read_logit_scale, resolve
from ovseg.encoders.clip_tokenizer import Tokenizer, build_tokenizer, count_tokens
from ovseg.encoders.text_pass import text_pass
from ovseg.encoders.weights import fingerprint
from ovseg.errors import VocabularyError
from ovseg.registry import MODELS

__all__ = ["CLIPText"]


@MODELS.register_module()
class CLIPText(Encoder):
    """Text tower of a CLIP, lazy: building it reads no weights and not even the tokenizer.

    The tower loads at the first :meth:`encode` and goes with :meth:`release`. It is always frozen,
    and it is no submodule: a segmentor's ``state_dict`` and parameter count are the same before
    and after, while ``to()`` moves it along.

    Args:
        model: Name of an architecture or a description, as for
            :class:`~ovseg.encoders.clip_vit.CLIPViT`.
        pretrained: Tag of known weights, None for random ones (with a warning).
        weights: A checkpoint on this machine; wins over the tag's file.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        quick_gelu: Decide the activation here, for files of an unknown kind.

    Attributes:
        embed_dim: E.
        context_length: Tokens a text may have, with start and end.

    Raises:
        ConfigError: Unknown architecture.
        WeightsNotFoundError: Unknown tag. Missing files are reported when they are needed.
    """

    def __init__(
        self,
        model: str | Mapping = "ViT-B-16",
        pretrained: str | None = "openai",
        weights: str | Path | None = None,
        precision: str = "fp32",
        quick_gelu: bool | None = None,
    ) -> None:
        super().__init__(precision, frozen=True)
        self._architecture, self._source = resolve(model, pretrained, weights, quick_gelu)
        if self._source is None:
            self.warn_random(self._architecture.name)
        self.embed_dim = self._architecture.embed_dim
        self.context_length: int = self._architecture.text.get("context_length", 77)
        # Remembers device and dtype for a tower that does not exist yet.
        self.register_buffer(
            "_anchor", torch.empty(0, dtype=PRECISIONS[precision]), persistent=False
        )
        self._seed = None if self._source else int(torch.randint(2**31, ()))
        # In a tuple, so that it is not registered as a submodule.
        self._tower: tuple[nn.Module, ...] = ()
        self.finish()

    @property
    def device(self) -> torch.device:
        """Device the tower is or will be on."""
        return self._anchor.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating dtype of the weights."""
        return self._anchor.dtype

    @property
    def fingerprint(self) -> str:
        """Architecture, weights and precision; known without loading the tower."""
        name = fingerprint(self._architecture.name, self._source)
        return name if self.precision == "fp32" else f"{name}/{self.precision}"

    @property
    def loaded(self) -> bool:
        """Whether the tower is in memory."""
        return bool(self._tower)

    @functools.cached_property
    def logit_scale(self) -> float:
        """Trained factor on cosine similarities; reads this one number, not the tower."""
        return read_logit_scale(self._source)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return build_tokenizer(self._architecture)

    def _apply(self, fn: Callable, recurse: bool = True) -> CLIPText:
        super()._apply(fn, recurse)
        for tower in self._tower:
            tower._apply(fn, recurse)
        return self

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens each text needs, uncut, with start and end; reads no weights."""
        return count_tokens(self.tokenizer, texts)

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Embed texts, all in one batch.

        Args:
            texts: n strings, for instance filled templates.

        Returns:
            (n, E) float32 on the encoder's device, not normalised.

        Raises:
            VocabularyError: A text is longer than ``context_length`` tokens.
            WeightsError: The weights cannot be had or do not fit.
        """
        texts = list(texts)
        if not texts:
            return torch.empty(0, self.embed_dim, device=self.device)
        longest, text = max(zip(self.token_counts(texts), texts, strict=True))
        if longest > self.context_length:
            raise VocabularyError(
                f"the text {text[:60]!r} needs {longest} tokens and the text tower reads "
                f"{self.context_length}: shorten it."
            )
        ids = self.tokenizer(texts).to(self.device)
        with torch.no_grad():
            return self.out(text_pass(self._load(), ids))

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """As :meth:`encode`."""
        return self.encode(texts)

    def release(self) -> None:
        """Free the tower's memory; the next :meth:`encode` loads it again."""
        self._tower = ()

    def _load(self) -> nn.Module:
        if not self._tower:
            with torch.random.fork_rng(devices=[], enabled=self._seed is not None):
                if self._seed is not None:
                    torch.manual_seed(self._seed)
                tower = build_text_tower(self._architecture, self._source)
            tower.output_tokens = False
            tower = tower.to(self.device, self.dtype).requires_grad_(False).eval()
            self._tower = (tower,)
        return self._tower[0]
