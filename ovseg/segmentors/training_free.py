"""Every training-free method: a frozen CLIP read densely, as five steps of which each is a setting.

1. cut    `protocol`: the whole image, or overlapping windows
2. read   `attention`: how the last block makes dense features
3. join   windows are averaged as logits
4. name   cosine with the words, the largest of a class's words, thresholds for the background
5. refine none yet beyond these
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.dense import Resized, Window, WindowLogits, decode
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.segmentors.preprocessor import ImagePreprocessor
from ovseg.segmentors.protocol import Protocol
from ovseg.text import TextClassifier, Vocabulary


@MODELS.register_module()
class TrainingFreeSegmentor(BaseModel):
    """Open-vocabulary semantic segmentation with nothing trained.

    Args:
        image_encoder: config of a CLIP image tower.
        text_encoder: config of its text tower.
        attention: config of the attention rule of the last block.
        protocol: the numbers of the evaluation, see `Protocol`.
        vocabulary: anything `Vocabulary.load` takes; may be left out and given later by
            `set_vocabulary`.
        background: words of a background class to add to the vocabulary, if any.
        templates: name of a template set, or a list of templates with ``{}``.
        window_batch: how many windows go through the encoder at a time.
        text_cache: keep text embeddings on disk.
    """

    def __init__(
        self,
        image_encoder: dict,
        text_encoder: dict,
        attention: dict,
        protocol: Protocol | dict | None = None,
        vocabulary: Any = None,
        background: Any = None,
        templates: str | list[str] = "openai80",
        window_batch: int = 16,
        text_cache: bool = True,
    ) -> None:
        self_protocol = Protocol.load(protocol)
        super().__init__(
            data_preprocessor=ImagePreprocessor(self_protocol.short_side, self_protocol.long_side)
        )
        if window_batch < 1:
            raise ConfigError(f"window_batch must be at least 1, got {window_batch}")
        self.protocol = self_protocol
        self.image_encoder = MODELS.build(image_encoder)
        self.text_encoder = MODELS.build(text_encoder)
        self.attention = MODELS.build(attention)
        self.classifier = TextClassifier(self.text_encoder, templates, cache=text_cache)
        self.window_batch = window_batch
        self.vocabulary: Vocabulary | None = None
        self._wanted = (vocabulary, background)
        self.register_buffer("text", torch.empty(0), persistent=False)
        self.register_buffer("query_to_class", torch.empty(0, dtype=torch.long), persistent=False)

    # -- words ---------------------------------------------------------------------------------

    def set_vocabulary(self, vocabulary: Any, background: Any = None) -> Vocabulary:
        """Choose the classes; their words are embedded at once.

        Args:
            vocabulary: anything `Vocabulary.load` takes.
            background: words of a background class to put first, if any.

        Raises:
            VocabularyError: if the words cannot be used.
            ConfigError: if thresholds are set and the vocabulary has no background.
        """
        loaded = Vocabulary.load(vocabulary)
        if background is not None:
            loaded = loaded.with_background(background)
        if self.protocol.needs_background and loaded.background is None:
            raise ConfigError(
                "prob_threshold and area_threshold give pixels to the background, but the "
                "vocabulary has none: add background words or set the thresholds to 0"
            )
        if loaded != self.vocabulary:
            device = self.query_to_class.device
            self.text = self.classifier(loaded).to(device)
            self.query_to_class = torch.tensor(loaded.query_to_class, device=device)
            self.vocabulary = loaded
        return loaded

    def require_vocabulary(self) -> Vocabulary:
        """The vocabulary; embeds the configured one at first use."""
        if self.vocabulary is None:
            vocabulary, background = self._wanted
            if vocabulary is None:
                raise ConfigError(
                    "this model has no classes yet: give classes to segment() or set "
                    "model.vocabulary in the config"
                )
            self.set_vocabulary(vocabulary, background)
        return self.vocabulary

    def fingerprints(self) -> dict[str, str]:
        """Which weights this model runs on, for records."""
        parts = {"image_encoder": self.image_encoder, "text_encoder": self.text_encoder}
        return {name: part.fingerprint for name, part in parts.items()}

    # -- steps 1 to 4 --------------------------------------------------------------------------

    def forward(
        self, inputs: list[torch.Tensor], data_samples: list | None = None, mode: str = "predict"
    ):
        """MMEngine's entry; only ``mode="predict"`` has a meaning, since nothing is trained.

        Args:
            inputs: list of (3, H, W) uint8 RGB images, of any sizes.
            data_samples: one per image; ``ori_shape`` says at which size labels are wanted.
            mode: must be "predict".
        """
        if mode != "predict":
            raise ConfigError(f"{type(self).__name__} trains nothing; mode {mode!r} is not for it")
        return self.predict(inputs, data_samples)

    @torch.no_grad()
    def predict(
        self,
        inputs: list[torch.Tensor],
        data_samples: list[SegDataSample] | None = None,
        with_scores: bool = False,
    ) -> list[SegDataSample]:
        """Segment images.

        Args:
            inputs: list of (3, H, W) uint8 RGB images, of any sizes.
            data_samples: one per image with ``ori_shape`` in its metainfo; by default labels are
                given at the size of the inputs.
            with_scores: also compute the mean probability of each class.

        Returns:
            The data samples with ``pred_sem_seg`` (1, H, W) int32 at the original size, and
            ``areas`` and ``scores`` (C,) in their metainfo.
        """
        vocabulary = self.require_vocabulary()
        if data_samples is None:
            data_samples = [SegDataSample(metainfo={"ori_shape": i.shape[-2:]}) for i in inputs]
        for sample, image, (windows, features) in zip(
            data_samples, inputs, self.read(inputs), strict=True
        ):
            stitched = WindowLogits(windows, features, self.text, tuple(image.shape[-2:]))
            found = decode(
                Resized(stitched, tuple(sample.metainfo["ori_shape"][:2])),
                self.query_to_class,
                len(vocabulary),
                scale=self.scale,
                background=vocabulary.background,
                prob_threshold=self.protocol.prob_threshold,
                area_threshold=self.protocol.area_threshold,
                with_scores=with_scores,
            )
            sample.set_data({"pred_sem_seg": PixelData(data=found.labels[None])})
            sample.set_metainfo({"areas": found.areas, "scores": found.scores})
        return data_samples

    @property
    def scale(self) -> float:
        """The logit scale in use."""
        fixed = self.protocol.logit_scale
        return self.text_encoder.logit_scale if fixed is None else fixed

    def read(self, images: list[torch.Tensor]) -> list[tuple[list[Window], list[torch.Tensor]]]:
        """Steps 1 and 2: for each image its windows, and each window's (h, w, E) unit features.

        Windows of one shape go through the encoder together, whichever image they come from.
        """
        patch = self.image_encoder.patch_size
        normalized = [self._normalize(image) for image in images]
        cut = self.protocol.cut
        cuts = [cut(*image.shape[-2:], patch) for image in images]
        features: list[list[torch.Tensor | None]] = [[None] * len(windows) for windows in cuts]
        by_shape: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for i, windows in enumerate(cuts):
            for j, window in enumerate(windows):
                by_shape.setdefault(window.padded_size, []).append((i, j))
        for places in by_shape.values():
            for start in range(0, len(places), self.window_batch):
                chunk = places[start : start + self.window_batch]
                pixels = torch.stack([cuts[i][j].cut(normalized[i]) for i, j in chunk])
                for (i, j), dense in zip(chunk, self.dense_features(pixels), strict=True):
                    features[i][j] = dense
        return list(zip(cuts, features, strict=True))

    def dense_features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Step 2 for equal windows: (B, 3, H, W) normalized pixels to (B, h, w, E) unit rows."""
        encoder = self.image_encoder
        state = encoder.tokens(pixels)
        tokens = self.attention(encoder.last_block, state.tokens, state.num_prefix)
        features = F.normalize(encoder.project(tokens).float(), dim=-1)
        return features.unflatten(1, state.grid)

    def _normalize(self, image: torch.Tensor) -> torch.Tensor:
        mean = torch.tensor(self.image_encoder.mean, device=image.device).view(3, 1, 1)
        std = torch.tensor(self.image_encoder.std, device=image.device).view(3, 1, 1)
        return (image.float() / 255 - mean) / std
