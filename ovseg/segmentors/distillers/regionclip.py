"""The baseline CLIPSelf is compared with: boxes learn the words that were given to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.datasets.images import category_names, read_boxes
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.segmentors.distillers.tower_trainer import TowerTrainer, mean_count
from ovseg.text import TextClassifier, Vocabulary


@MODELS.register_module()
class RegionCLIP(TowerTrainer):
    """Features of boxes learn the words of given pairs, against other words.

    Each box is asked of each word in the batch, and of others drawn to fill them up, whether it is
    this word: a sum of binary cross entropies on scaled cosines.

    Source: Zhong et al., RegionCLIP: Region-based Language-Image Pretraining, CVPR 2022, in the
    form in which CLIPSelf compares with it (wusize/CLIPSelf, ``region_clip.py``).

    Args:
        student: Config of the image tower.
        text_encoder: Config of its text tower, frozen.
        words: The words in the order of the labels: anything `Vocabulary.load` takes, or the file
            of pairs itself (a .json with ``categories``, which are sorted by their ids).
        templates: Name of a template set, or a list of templates with ``{}``.
        num_words: How many words each box is asked of, at least.
        unlocked_blocks: See `TowerTrainer`.
        sizes: See `TowerTrainer`; published: none.
        loss_weight: Factor on the loss.
        keep_start: Keep the tower as it was, to blend it in at the end (published).
        text_cache: Keep text embeddings on disk.

    Raises:
        ConfigError: See `TowerTrainer`.
        VocabularyError: The words cannot be used.
    """

    #: State that a checkpoint may leave out.
    frozen_prefixes = ("text_encoder.",)

    def __init__(
        self,
        student: dict,
        text_encoder: dict,
        words: Any,
        templates: str | list[str] = "openai80",
        num_words: int = 100,
        unlocked_blocks: int | None = None,
        sizes: Sequence[int] | None = None,
        loss_weight: float = 1.0,
        keep_start: bool = True,
        text_cache: bool = True,
    ) -> None:
        super().__init__(student, unlocked_blocks, sizes, keep_start)
        if num_words < 1:
            raise ConfigError(f"num_words must be at least 1, got {num_words}")
        self.text_encoder = MODELS.build(text_encoder)
        self.classifier = TextClassifier(self.text_encoder, templates, cache=text_cache)
        self.words, self.num_words, self.loss_weight = words, num_words, loss_weight
        self.register_buffer("text", torch.empty(0), persistent=False)

    def train_words(self) -> torch.Tensor:
        """Embeddings (W, E) of the words, unit rows; made at the first call."""
        if not len(self.text):
            vocabulary = self._load_words()
            embedded = self.classifier(vocabulary)
            first = [int((vocabulary.query_to_class == c).argmax()) for c in range(len(vocabulary))]
            self.text = embedded[first].to(self.student.device)
        return self.text

    def _load_words(self) -> Vocabulary:
        words = self.words
        if isinstance(words, (str, Path)) and str(words).endswith(".json"):
            names = category_names(read_boxes(words))
            words = [names[number] for number in sorted(names)]
        return Vocabulary.load(words)

    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: Sequence[SegDataSample],
        boxes: Sequence[torch.Tensor],
        crops: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """``loss_words`` of a batch, see `TowerTrainer.forward`.

        Raises:
            ConfigError: Boxes have no words, or words that are none of `words`.
        """
        text = self.train_words()
        regions = [sample.gt_regions for sample in data_samples]
        if not all("labels" in r for r in regions):
            raise ConfigError(
                "RegionCLIP needs boxes with words: set words=True of ImageFolder, and its ann_file"
            )
        labels = torch.cat([r.labels for r in regions]).to(text.device)
        if len(labels) and int(labels.max()) >= len(text):
            raise ConfigError(
                f"a box has word number {int(labels.max())}, but there are {len(text)}: give the "
                "file of the pairs as words"
            )
        seeds = [sample.metainfo.get("sample_seed") for sample in data_samples]
        chosen = self.choose_words(labels, seeds).to(text.device)
        features = self.student_features(inputs, boxes, data_samples)
        features = F.normalize(features.float(), dim=-1)
        logits = features @ text[chosen].T * self.text_encoder.logit_scale
        target = (labels[:, None] == chosen).to(logits)
        wrong = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return {"loss_words": wrong / mean_count(len(labels), wrong) * self.loss_weight}

    def choose_words(self, labels: torch.Tensor, seeds: Sequence[int | None] = ()) -> torch.Tensor:
        """Words that boxes are asked of: those in the batch, of all processes, and others.

        Args:
            labels: (n,) of this process's boxes.
            seeds: Of its samples; where they have some, the words are the same in all processes.
        """
        parts = all_gather_object((labels.tolist(), list(seeds)))
        present = torch.tensor(sorted({label for part, _ in parts for label in part}))
        present = present.long()
        others = torch.ones(len(self.text))
        others[present] = 0
        missing = min(self.num_words - len(present), int(others.sum()))
        if missing <= 0:
            return present
        generator = None
        drawn_from = sorted(seed for _, part in parts for seed in part if seed is not None)
        if drawn_from and len(drawn_from) == sum(len(part) for _, part in parts):
            generator = torch.Generator().manual_seed(sum(drawn_from) % 2**63)
        drawn = torch.multinomial(others, missing, replacement=False, generator=generator)
        return torch.cat([present, drawn])
