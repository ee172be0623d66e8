"""From a vocabulary to the matrix of text embeddings that pixels are compared with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ovseg.errors import OvsegError, VocabularyError
from ovseg.text.cache import EmbeddingCache
from ovseg.text.templates import fill, get_templates
from ovseg.text.vocabulary import Vocabulary
from ovseg.text.words import shown

_FORMAT = 1  # part of every cache key: raise it when the way embeddings are made changes
_LONG = 2000  # prompts; below this many no progress is shown
_SLACK = 8  # tokens by which the length of a sentence may differ from the sum of its parts


@runtime_checkable
class TextEncoder(Protocol):
    """What a classifier needs of a text tower.

    Attributes:
        context_length: How many tokens the tower reads, start and end included.
        fingerprint: Stable name of architecture and weights, told without loading them; one that
            holds "random" is never cached on disk.
    """

    context_length: int
    fingerprint: str

    def encode(self, texts: list[str]) -> Tensor:
        """Embed n sentences: (n, E), any float dtype and device, not normalized."""
        ...

    def token_counts(self, texts: list[str]) -> list[int]:
        """Count the tokens of each sentence before any is cut, start and end included."""
        ...


class TextClassifier:
    """Turns a vocabulary into unit text embeddings, one a query.

    Each query is put into every template; the embeddings are normalized, averaged over the
    templates and normalized again (the ensemble of CLIP's ImageNet notebook). Repeated queries are
    read once. Results are kept on disk by encoder, templates and queries; where they are found
    there, neither tokenizer nor tower is touched.

    Args:
        text_encoder: The text tower.
        templates: Name of a template set or a list of templates, see ``get_templates``.
        cache_dir: Folder of the disk cache; by default ``$OVSEG_CACHE/text`` or
            ``~/.cache/ovseg/text``.
        chunk_size: How many sentences the tower reads at a time; bounds memory.
        cache: Whether to read and write the disk cache.

    Raises:
        VocabularyError: The templates cannot be used, see ``get_templates``.
        ValueError: ``chunk_size`` is less than 1.
    """

    def __init__(
        self,
        text_encoder: TextEncoder,
        templates: str | Iterable[str] = "openai80",
        cache_dir: str | os.PathLike | None = None,
        chunk_size: int = 256,
        cache: bool = True,
    ) -> None:
        if chunk_size < 1:
            raise ValueError(f"chunk_size is {chunk_size}, but at least 1 sentence has to be read")
        self.text_encoder = text_encoder
        self.templates = get_templates(templates)
        self.chunk_size = chunk_size
        cached = cache and "random" not in text_encoder.fingerprint.lower()
        self.cache = EmbeddingCache(cache_dir) if cached else None

    def __call__(self, vocabulary: Vocabulary) -> Tensor:
        """Embed the queries of a vocabulary.

        Args:
            vocabulary: Classes and their words; Q queries in all.

        Returns:
            (Q, E) float32 on the CPU, in the order of ``vocabulary.queries``. Rows have length 1
            (or 0, where the tower gave zeros only).

        Raises:
            VocabularyError: A word is too long for the tower; the message names its class.
            OvsegError: The tower gave numbers that are not finite.
        """
        rows = {word: row for row, word in enumerate(dict.fromkeys(vocabulary.queries))}
        words = list(rows)
        key = self.cache_key(words)
        embeddings = self.cache.load(key, len(words)) if self.cache else None
        if embeddings is None:
            self._refuse_long(words, vocabulary)
            embeddings = self._encode(words)
            if self.cache:
                self.cache.store(key, embeddings)
        if len(words) == len(vocabulary.queries):
            return embeddings
        return embeddings[torch.tensor([rows[word] for word in vocabulary.queries])]

    def cache_key(self, words: list[str]) -> str:
        """SHA-256 (hex) of everything the embeddings of these words depend on."""
        content = json.dumps([_FORMAT, self.text_encoder.fingerprint, self.templates, words])
        return hashlib.sha256(content.encode("ascii")).hexdigest()

    def _encode(self, words: list[str]) -> Tensor:
        count = len(self.templates)
        # A stream, not a list: 10,000 words in 80 templates are 800,000 sentences.
        prompts = (
            (row, fill(template, word))
            for row, word in enumerate(words)
            for template in self.templates
        )
        total: Tensor | None = None
        bar = tqdm(
            total=len(words) * count,
            desc="reading class names",
            unit="prompt",
            disable=len(words) * count < _LONG,
        )
        with torch.no_grad(), bar:
            for chunk in _chunks(prompts, self.chunk_size):
                texts = [text for _, text in chunk]
                embeddings = self.text_encoder.encode(texts).detach().to("cpu", torch.float32)
                if not bool(torch.isfinite(embeddings).all()):
                    raise OvsegError(
                        f"the text encoder {self.text_encoder.fingerprint} gave numbers that are "
                        f'not finite for "{texts[0]}" or one read with it: use precision fp32'
                    )
                if total is None:
                    total = torch.zeros(len(words), embeddings.shape[1])
                owner = torch.tensor([row for row, _ in chunk])
                total.index_add_(0, owner, F.normalize(embeddings, dim=1))
                bar.update(len(chunk))
        assert total is not None  # a vocabulary has at least one word
        return F.normalize(total / count, dim=1)

    def _refuse_long(self, words: list[str], vocabulary: Vocabulary) -> None:
        """Raise if a sentence does not fit the tower, before the first of them is read.

        Only the longest template is tried on every word; where that comes near the limit, all
        templates are, because tokenizers may join a word with its neighbors.
        """
        limit, count = self.text_encoder.context_length, self.text_encoder.token_counts
        lengths = count([fill(template, words[0]) for template in self.templates])
        longest = self.templates[lengths.index(max(lengths))]
        for start in range(0, len(words), self.chunk_size):
            chunk = words[start : start + self.chunk_size]
            for word, length in zip(chunk, count([fill(longest, w) for w in chunk]), strict=True):
                if length <= limit - _SLACK:
                    continue
                exact = max(count([fill(template, word) for template in self.templates]))
                if exact > limit:
                    index = vocabulary.query_to_class[vocabulary.queries.index(word)]
                    name = vocabulary.classes[index]
                    asked = "" if word == name else f", asked for as {shown(word)},"
                    raise VocabularyError(
                        f"the class {shown(name)}{asked} makes a prompt of {exact} tokens, but "
                        f"this text encoder reads {limit} at most: shorten the name"
                    )


def _chunks(items: Iterator[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    while chunk := list(islice(items, size)):
        yield chunk
