"""Every training-free method: a frozen CLIP read densely, as five steps of which each is a setting.

1. cut    `protocol`: the whole image, or overlapping windows
2. read   `attention`: how the last block makes dense features; `guide`: another encoder's view of
          what belongs together, for rules that ask for one
3. join   `splice`: windows are averaged as logits, or joined as features before they are named;
          `aggregator`: features of patches that belong together are averaged
4. name   cosine with the words, the largest of a class's words, thresholds for the background
5. refine `refiner`: better labels from logits and pixels
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional as F

from ovseg.dense import (
    ClassTokenFactor,
    LogitMap,
    LogProbabilities,
    Naming,
    PatchLogits,
    PatchNaming,
    Picture,
    Resized,
    WholeImage,
    Window,
    WindowBatch,
    WindowLogits,
    splice,
    spliceable_size,
)
from ovseg.errors import ConfigError
from ovseg.refine.base import whole_qkv
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
        encoders: configs of other frozen models, by the names that guide, aggregator and refiner
            ask for them ("clip" is the image tower itself). Each is built once.
        guide: config of the `Guide` of the attention rule.
        splice: join the features of windows to one map of the picture before anything is named
            ("splice, then segment"); otherwise their logits are averaged. Pictures are then
            stretched to whole patches rather than their windows padded.
        aggregator: config of the `Aggregator`; it works on the spliced map where there is one,
            else on every window.
        foreground: config of the `Foreground`, for protocols with a ``foreground_threshold``.
        class_token_factor: multiply the logits of patches by those of the class token of their
            window, as CLIPtrase does on one set; see `ovseg.dense.ClassTokenFactor`.
        refiner: config of the `Refiner`.
        protocol: the numbers of the evaluation, see `Protocol`.
        vocabulary: anything `Vocabulary.load` takes; may be left out and given later by
            `set_vocabulary`.
        background: words of a background class to add to the vocabulary, if any.
        templates: name of a template set, or a list of templates with ``{}``.
        window_batch: how many windows go through the encoder at a time.
        text_cache: keep text embeddings on disk.
        compile: compile the blocks of the encoders by `torch.compile`: True, or a dict of its
            options. Worth it where many pictures of few sizes are segmented, since every new size
            of window is compiled anew; a GPU gains most.
    """

    def __init__(
        self,
        image_encoder: dict,
        text_encoder: dict,
        attention: dict,
        encoders: dict[str, dict] | None = None,
        guide: dict | None = None,
        splice: bool = False,
        aggregator: dict | None = None,
        foreground: dict | None = None,
        class_token_factor: bool = False,
        refiner: dict | None = None,
        protocol: Protocol | dict | None = None,
        vocabulary: Any = None,
        background: Any = None,
        templates: str | list[str] = "openai80",
        window_batch: int = 16,
        text_cache: bool = True,
        compile: bool | dict = False,
    ) -> None:
        self_protocol = Protocol.load(protocol)
        super().__init__(
            data_preprocessor=ImagePreprocessor(
                self_protocol.short_side,
                self_protocol.long_side,
                self_protocol.interpolation,
                self_protocol.square,
            )
        )
        if window_batch < 1:
            raise ConfigError(f"window_batch must be at least 1, got {window_batch}")
        self.protocol = self_protocol
        self.image_encoder = MODELS.build(image_encoder)
        self.text_encoder = MODELS.build(text_encoder)
        self.encoders = nn.ModuleDict(
            {name: MODELS.build(encoder) for name, encoder in (encoders or {}).items()}
        )
        self.attention = MODELS.build(attention)
        self.guide = None if guide is None else MODELS.build(guide)
        self.splice = splice
        self.aggregator = None if aggregator is None else MODELS.build(aggregator)
        self.foreground = None if foreground is None else MODELS.build(foreground)
        self.class_token_factor = class_token_factor
        self.refiner = None if refiner is None else MODELS.build(refiner)
        self._check_parts()
        self.classifier = TextClassifier(self.text_encoder, templates, cache=text_cache)
        self.window_batch = window_batch
        self.vocabulary: Vocabulary | None = None
        self._wanted = (vocabulary, background)
        if compile is not False:
            self.compile_encoders(**({} if compile is True else compile))
        self.register_buffer("text", torch.empty(0), persistent=False)
        self.register_buffer("query_to_class", torch.empty(0, dtype=torch.long), persistent=False)

    def _check_parts(self) -> None:
        if self.attention.needs_guide and self.guide is None:
            raise ConfigError(
                f"{type(self.attention).__name__} needs a guide: set `guide`, for example "
                "dict(type='DINOGuide', encoder='dino'), and name its encoder in `encoders`"
            )
        if self.aggregator is not None and self.aggregator.whole_pictures and not self.splice:
            raise ConfigError(
                f"{type(self.aggregator).__name__} works on whole pictures: set splice=True, so "
                "that windows are joined first"
            )
        if self.protocol.foreground_threshold > 0 and self.foreground is None:
            raise ConfigError(
                "foreground_threshold asks which patches show a thing: set `foreground`, for "
                "example dict(type='DINOiserForeground'), or foreground_threshold to 0"
            )
        without = self.splice or not self.attention.reads_class_token
        if self.class_token_factor and (without or not self.image_encoder.num_prefix_tokens):
            reason = "splice" if self.splice else type(self.attention).__name__
            reason = reason if without else "this image tower"
            raise ConfigError(
                f"with {reason} there is no class token to a window: set class_token_factor=False"
            )
        for part in (self.guide, self.aggregator, self.foreground, self.refiner):
            name = getattr(part, "encoder", None)
            if name is not None and name != "clip" and name not in self.encoders:
                known = ", ".join(["clip", *self.encoders])
                raise ConfigError(
                    f"{type(part).__name__} asks for the encoder {name!r}, which is not among "
                    f"{known}: add it to `encoders`"
                )

    def compile_encoders(self, **options) -> None:
        """Compile the blocks of all image encoders; options are those of `torch.compile`."""
        for encoder in (self.image_encoder, *self.encoders.values()):
            encoder.compile_blocks(**options)

    def encoder_of(self, part: nn.Module) -> nn.Module | None:
        """The frozen model that a guide, aggregator or refiner asks for by name."""
        if part.encoder is None:
            return None
        return self.image_encoder if part.encoder == "clip" else self.encoders[part.encoder]

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
                "the protocol's thresholds give pixels to the background, but the vocabulary has "
                "none: add background words or set the thresholds to 0"
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
        parts.update(self.encoders.items())
        learned = {
            "guide": self.guide,
            "aggregator": self.aggregator,
            "foreground": self.foreground,
        }
        parts.update((name, part) for name, part in learned.items() if hasattr(part, "fingerprint"))
        return {name: part.fingerprint for name, part in parts.items()}

    # -- steps 1 to 4 --------------------------------------------------------------------------

    def forward(
        self,
        inputs: list[torch.Tensor],
        data_samples: list | None = None,
        originals: list[torch.Tensor] | None = None,
        mode: str = "predict",
    ):
        """MMEngine's entry; only ``mode="predict"`` has a meaning, since nothing is trained.

        Args:
            inputs: list of (3, H, W) uint8 RGB images, of any sizes.
            data_samples: one per image; ``ori_shape`` says at which size labels are wanted.
            originals: the images as they were before the protocol's resizing, if any.
            mode: must be "predict".
        """
        if mode != "predict":
            raise ConfigError(f"{type(self).__name__} trains nothing; mode {mode!r} is not for it")
        return self.predict(inputs, data_samples, originals)

    @torch.no_grad()
    def predict(
        self,
        inputs: list[torch.Tensor],
        data_samples: list[SegDataSample] | None = None,
        originals: list[torch.Tensor] | None = None,
        with_scores: bool = False,
    ) -> list[SegDataSample]:
        """Segment images.

        Args:
            inputs: list of (3, H, W) uint8 RGB images, of any sizes.
            data_samples: one per image with ``ori_shape`` in its metainfo; by default labels are
                given at the size of the inputs.
            originals: the images as they were before the protocol's resizing; by default the
                inputs.
            with_scores: also compute the mean probability of each class.

        Returns:
            The data samples with ``pred_sem_seg`` (1, H, W) int32 at the original size, and
            ``areas`` and ``scores`` (C,) in their metainfo.
        """
        naming = self.naming()
        if data_samples is None:
            data_samples = [SegDataSample(metainfo={"ori_shape": i.shape[-2:]}) for i in inputs]
        pictures = [
            Picture(image, original)
            for image, original in zip(inputs, originals or inputs, strict=True)
        ]
        for sample, picture, logits in zip(
            data_samples, pictures, self.logits(pictures), strict=True
        ):
            size = tuple(sample.metainfo["ori_shape"][:2])
            if self.refiner is None:
                logits = self.as_logits(Resized(logits, size))
                found = naming.decode(logits, with_scores)
            else:
                logits, encoder = self.as_logits(logits), self.encoder_of(self.refiner)
                found = self.refiner(logits, picture, naming, size, encoder, with_scores)
            sample.set_data({"pred_sem_seg": PixelData(data=found.labels[None])})
            sample.set_metainfo({"areas": found.areas, "scores": found.scores})
        return data_samples

    def naming(self) -> Naming:
        """Step 4 for the vocabulary and protocol in use."""
        vocabulary = self.require_vocabulary()
        return Naming(
            self.query_to_class,
            len(vocabulary),
            self.scale,
            vocabulary.background,
            self.protocol.prob_threshold,
            self.protocol.area_threshold,
        )

    def patch_naming(self, picture: Picture) -> PatchNaming | ClassTokenFactor | None:
        """What of step 4 is done at the patches of a picture, if anything."""
        softmax = self._patch_softmax(picture)
        if not self.class_token_factor:
            return softmax
        return ClassTokenFactor(picture.class_tokens, self.text, self.scale, softmax)

    def _patch_softmax(self, picture: Picture) -> PatchNaming | None:
        if self.protocol.softmax == "pixels":
            return None
        background, threshold = None, self.protocol.foreground_threshold
        if threshold > 0:
            vocabulary = self.vocabulary
            background = int(np.flatnonzero(vocabulary.query_to_class == vocabulary.background)[0])
        return PatchNaming(self.scale, background, threshold, picture.foreground)

    def as_logits(self, named: LogitMap) -> LogitMap:
        """A map as `Naming` wants it, whose softmax at the patches may have been taken."""
        return named if self.protocol.softmax == "pixels" else LogProbabilities(named, self.scale)

    @property
    def scale(self) -> float:
        """The logit scale in use."""
        fixed = self.protocol.logit_scale
        return self.text_encoder.logit_scale if fixed is None else fixed

    def logits(self, pictures: list[Picture]) -> list[LogitMap]:
        """Steps 1 to 4: for each picture the cosines of patches and queries, at its size.

        Where the protocol takes the softmax at patches, these are probabilities.
        """
        patch = self.image_encoder.patch_size
        if self.splice:
            sizes = [spliceable_size(*p.size, patch, self.protocol.crop) for p in pictures]
            pictures = [p.stretched(size) for p, size in zip(pictures, sizes, strict=True)]
        maps = []
        for picture, (windows, features) in zip(pictures, self.read(pictures), strict=True):
            naming = self.patch_naming(picture)
            if self.splice:
                spliced = splice(windows, features, picture.size, patch)
                (whole,) = WholeImage()(*picture.size, patch)
                joined = self.embed(spliced[None], WindowBatch([picture], [whole]))
                grid = PatchLogits(F.normalize(joined[0], dim=-1), self.text, naming, whole)
                maps.append(Resized(grid, picture.size))
            else:
                units = [F.normalize(feature, dim=-1) for feature in features]
                maps.append(WindowLogits(windows, units, self.text, picture.size, naming))
        return maps

    def read(self, pictures: list[Picture]) -> list[tuple[list[Window], list[torch.Tensor]]]:
        """Steps 1 and 2: for each picture its windows, and each window's (h, w, E) features.

        Windows of one shape go through the encoder together, whichever picture they come from.
        Windows that are to be spliced are left as the last block made them: (h, w, D); others are
        aggregated here as well.
        """
        patch = self.image_encoder.patch_size
        cuts = [self.protocol.cut(*picture.size, patch) for picture in pictures]
        features: list[list[torch.Tensor | None]] = [[None] * len(windows) for windows in cuts]
        by_shape: dict[tuple, list[tuple[int, int]]] = {}
        for i, windows in enumerate(cuts):
            for j, window in enumerate(windows):
                shape = (i if self.attention.joint else None, window.padded_size)
                by_shape.setdefault(shape, []).append((i, j))
        for places in by_shape.values():
            chunks = [
                places[start : start + self.window_batch]
                for start in range(0, len(places), self.window_batch)
            ]
            batches = (
                WindowBatch([pictures[i] for i, _ in chunk], [cuts[i][j] for i, j in chunk])
                for chunk in chunks
            )
            for chunk, read in zip(chunks, self.read_batches(batches), strict=True):
                for (i, j), dense in zip(chunk, read, strict=True):
                    features[i][j] = dense
        return list(zip(cuts, features, strict=True))

    def read_batches(self, batches: Iterable[WindowBatch]) -> Iterator[torch.Tensor]:
        """Step 2 for windows of one shape, and step 3 where they are not spliced.

        Gives (B, h, w, D or E) for each batch. Where windows depend on each other these are all the
        windows of a picture, and what the guide saw of them all is held; encoders are given one
        batch after the other.
        """
        guided = ((batch, self.guide_features(batch)) for batch in batches)
        common = ()
        if self.attention.joint:
            held = list(guided)
            common = (torch.cat([self.attention.measure(guide) for _, guide in held]).mean(),)
            guided = (held.pop(0) for _ in range(len(held)))
        for batch, guide in guided:
            state = batch.tokens(self.image_encoder, self.kept_blocks, self.qkv_blocks)
            self.remember_qkv(state, batch)
            if self.class_token_factor:
                tokens = self.last_block_with_class_tokens(state, batch)
            else:
                tokens = self.last_block(state, guide, *common)
            yield tokens if self.splice else self.embed(tokens, batch)

    def remember_qkv(self, state, batch: WindowBatch) -> None:
        """Note on the pictures what the refiner will look at, so that it need not read them."""
        for block in self.qkv_blocks:
            for i, picture in enumerate(batch.pictures):
                tokens = state.tokens[i : i + 1]
                own = {block: tuple(part[i : i + 1] for part in state.qkv[block])}
                one = dataclasses.replace(state, tokens=tokens, kept={}, qkv=own)
                key = whole_qkv(self.image_encoder, block, picture.size)
                picture.once(key, lambda one=one: one)

    def guide_features(self, batch: WindowBatch) -> torch.Tensor | None:
        """What the guide sees of windows, if there is one."""
        if self.guide is None:
            return None
        if self.guide.encoder == "clip":  # read once, with all that is wanted of it
            batch.tokens(self.image_encoder, self.kept_blocks, self.qkv_blocks)
        return self.guide(batch, self.encoder_of(self.guide))

    def embed(self, tokens: torch.Tensor, batch: WindowBatch) -> torch.Tensor:
        """From tokens (B, h, w, D) to features (B, h', w', E), aggregated on the way."""
        aggregator = self.aggregator
        self.look_for_things(batch)
        if aggregator is not None and not aggregator.projected:
            tokens = aggregator(tokens, batch, self.encoder_of(aggregator))
        features = self._project(tokens)
        if aggregator is not None and aggregator.projected:
            features = aggregator(features, batch, self.encoder_of(aggregator))
        return features

    def look_for_things(self, batch: WindowBatch) -> None:
        """Note on the pictures which patches of these windows show a thing, if that matters."""
        if self.protocol.foreground_threshold > 0:
            things = self.foreground(batch, self.encoder_of(self.foreground))
            for picture, window, one in zip(batch.pictures, batch.windows, things, strict=True):
                picture.foreground[window] = one

    def dense_features(
        self, pixels: torch.Tensor, guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Step 2 on tensors.

        Args:
            pixels: (B, 3, H, W) normalized.
            guide: (B, C, h', w') features of a guide.

        Returns:
            (B, h, w, E) features as the tower projects them, not yet of unit length.
        """
        return self._project(self.last_block(self.image_encoder.tokens(pixels), guide))

    def last_block(
        self, state, guide: torch.Tensor | None = None, *common: torch.Tensor
    ) -> torch.Tensor:
        """The last block by the attention rule: (B, h, w, D), before the tower's final norm."""
        tokens, grid = self.attention(self._last_block(state), state, guide, *common)
        return tokens.unflatten(1, grid)

    def _last_block(self, state):
        """Pieces of the last block of the image tower, for these tokens."""
        return self.image_encoder.block(1, state.grid)

    def last_block_with_class_tokens(self, state, batch: WindowBatch) -> torch.Tensor:
        """The same, and the class tokens of the windows noted on their pictures."""
        tokens = self.attention.read(self._last_block(state), state)
        units = F.normalize(self.image_encoder.project(tokens[:, :1]).float()[:, 0], dim=-1)
        for picture, window, unit in zip(batch.pictures, batch.windows, units, strict=True):
            picture.class_tokens[window] = unit
        return tokens[:, state.num_prefix :].unflatten(1, state.grid)

    def _project(self, tokens: torch.Tensor) -> torch.Tensor:
        projected = self.image_encoder.project(tokens.flatten(1, 2)).float()
        return projected.unflatten(1, tokens.shape[1:3])

    @property
    def kept_blocks(self) -> tuple[int, ...]:
        """Blocks of the image tower whose tokens other steps look at, window by window."""
        parts = (self.guide,) if self.splice else (self.guide, self.aggregator, self.foreground)
        wanted = [part.keep for part in parts if part is not None and part.encoder == "clip"]
        return tuple(sorted(set().union(*wanted)))

    @property
    def qkv_blocks(self) -> tuple[int, ...]:
        """Blocks of the tower whose q, k and v the refiner looks at, where pictures are whole."""
        whole = self.refiner is not None and self.refiner.encoder == "clip" and not self.splice
        return self.refiner.qkv if whole and self.protocol.crop is None else ()
