"""FC-CLIP: one frozen convolutional CLIP, and a mask transformer trained on its maps.

The maps of an image are made once. The head draws masks from them and compares each with words
(in-vocabulary); the frozen tower's own last layer compares what lies under the masks with the same
words (out-of-vocabulary); a geometric mean of the two names the masks. One pass gives semantic,
panoptic and instance segmentations, of any classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.weights import (
    WeightSource,
    apply_state_dict,
    choose_source,
    fetch,
    fingerprint,
    load_state_dict,
)
from ovseg.errors import ConfigError
from ovseg.heads import (
    ClassWords,
    InstanceInference,
    MaskBands,
    PanopticInference,
    SemanticInference,
    geometric_ensemble,
    out_of_vocabulary,
    seen_classes,
)
from ovseg.heads.in_vocabulary import MAX_SCALE
from ovseg.registry import MODELS
from ovseg.segmentors.fcclip_checkpoint import from_authors, is_authors
from ovseg.segmentors.fcclip_weights import fcclip_source
from ovseg.segmentors.mask_preprocessor import MaskPreprocessor, normalized, pad_to, padded_size
from ovseg.segmentors.protocol import Protocol
from ovseg.text import TextClassifier, Vocabulary

#: What one pass can give.
TASKS = ("semantic", "panoptic", "instance")


@MODELS.register_module()
class FCCLIP(BaseModel):
    """Open-vocabulary semantic, panoptic and instance segmentation.

    Source: Yu et al., "Convolutions Die Hard: Open-Vocabulary Segmentation with Single Frozen
    Convolutional CLIP", NeurIPS 2023; agrees with the authors' code (bytedance/fc-clip).

    Args:
        image_encoder: config of a convolutional CLIP image tower.
        text_encoder: config of its text tower.
        pixel_decoder: config of the pixel decoder; channels are those of the tower.
        decoder: config of the mask transformer; its input is that of the others.
        criterion: config of the loss; None for a model that is not trained.
        head: where the trained weights of both decoders come from: ``name`` and ``pretrained`` (a
            tag, see `fcclip_source`), or ``weights`` (a file, ours or the authors'). None leaves
            them random, to be trained or filled from a checkpoint.
        train_vocabulary: classes the model is trained on: anything `Vocabulary.load` takes.
        vocabulary: classes that are asked for; may be given later by `set_vocabulary`.
        background: words of a background class to add to ``vocabulary``, if any.
        templates: name of a template set, or a list of templates with ``{}``.
        alpha: weight of the frozen tower's opinion on classes that were trained.
        beta: its weight on others.
        valid_only: leave the frozen tower out where a mask holds no position of its last map, as
            published for ResNets.
        object_threshold: panoptic: smallest probability of a mask's class, exclusive.
        overlap_threshold: panoptic: smallest share of its area that a mask must keep.
        max_instances: instance: how many pairs of mask and class are considered.
        tasks: what `predict` gives when it is not told.
        divisor: sides of images are padded to multiples of it.
        band_bytes: memory for masks at the size of an image, which are gone through in bands.
        protocol: how images are resized for a benchmark, see `Protocol`; they are read whole.
        text_cache: keep text embeddings on disk.

    Raises:
        ConfigError: parts that do not fit, or a protocol with windows or thresholds.
        WeightsError: weights unknown, missing, unsafe, or of another model.
    """

    #: State that a checkpoint may leave out: the frozen towers are named by hash, not copied.
    frozen_prefixes = ("image_encoder.", "text_encoder.")

    def __init__(
        self,
        image_encoder: dict,
        text_encoder: dict,
        pixel_decoder: dict,
        decoder: dict,
        criterion: dict | None = None,
        head: dict | None = None,
        train_vocabulary: Any = "coco-panoptic-133",
        vocabulary: Any = None,
        background: Any = None,
        templates: str | list[str] = "vild14",
        alpha: float = 0.4,
        beta: float = 0.8,
        valid_only: bool = False,
        object_threshold: float = 0.0,
        overlap_threshold: float = 0.8,
        max_instances: int = 100,
        tasks: Sequence[str] = TASKS,
        divisor: int = 32,
        band_bytes: int = 64 * 2**20,
        protocol: Protocol | dict | None = None,
        text_cache: bool = True,
    ) -> None:
        protocol = Protocol.load(protocol)
        _check_settings(protocol, alpha, beta, divisor)
        tower = MODELS.build(image_encoder)
        if not hasattr(tower, "embed_masked"):
            raise ConfigError(
                f"FC-CLIP reads maps of several scales, which {type(tower).__name__} does not "
                "give: use image_encoder=dict(type='CLIPConv', ...)"
            )
        super().__init__(
            data_preprocessor=MaskPreprocessor(
                tower.mean,
                tower.std,
                divisor,
                protocol.short_side,
                protocol.long_side,
                protocol.interpolation,
            )
        )
        self.protocol = protocol
        self.image_encoder = tower
        self.text_encoder = MODELS.build(text_encoder)
        self.pixel_decoder = MODELS.build({"channels": tower.channels, **pixel_decoder})
        inputs = {
            "in_dim": self.pixel_decoder.dim,
            "mask_dim": self.pixel_decoder.mask_dim,
            "embed_dim": tower.embed_dim,
        }
        self.decoder = MODELS.build({**inputs, **decoder})
        self.criterion = None if criterion is None else MODELS.build(criterion)
        self.classifier = TextClassifier(self.text_encoder, templates, cache=text_cache)
        self.alpha, self.beta, self.valid_only = alpha, beta, valid_only
        self.object_threshold, self.overlap_threshold = object_threshold, overlap_threshold
        self.max_instances = max_instances
        self.tasks = _known_tasks(tasks)
        self.divisor, self.band_bytes = divisor, band_bytes
        self.train_vocabulary = Vocabulary.load(train_vocabulary)
        self.vocabulary: Vocabulary | None = None
        self._wanted = (vocabulary, background)
        for name in ("text", "train_text"):
            self.register_buffer(name, torch.empty(0), persistent=False)
        for name in ("query_to_class", "train_query_to_class"):
            self.register_buffer(name, torch.empty(0, dtype=torch.long), persistent=False)
        self.register_buffer("seen", torch.empty(0, dtype=torch.bool), persistent=False)
        self._head = self._load_head(**head) if head is not None else None

    # -- weights -------------------------------------------------------------------------------

    def _load_head(
        self,
        name: str = "fcclip",
        pretrained: str | None = None,
        weights: str | Path | None = None,
    ) -> WeightSource | None:
        source = choose_source(name, pretrained, weights, fcclip_source)
        if source is None:
            warnings.warn(
                "FC-CLIP's head has random weights: its masks mean nothing until trained weights "
                "are loaded (head.weights=FILE, or a checkpoint).",
                RandomWeightsWarning,
                stacklevel=4,
            )
            return None
        path = fetch(source)
        state = self.adapt_state_dict(load_state_dict(path), str(path))
        state = {k: v for k, v in state.items() if not k.startswith(self.frozen_prefixes)}
        trained = torch.nn.ModuleDict(
            {"pixel_decoder": self.pixel_decoder, "decoder": self.decoder}
        )
        apply_state_dict(trained, state, name="FC-CLIP's head", origin=path)
        trained.float()  # packaged weights come in half precision
        return source

    def adapt_state_dict(
        self, state: Mapping[str, torch.Tensor], source: str = "of the authors"
    ) -> dict[str, torch.Tensor]:
        """A checkpoint's tensors under our names: the authors' are renamed, ours left alone.

        Raises:
            CheckpointMismatchError: a tensor of the authors' layout that is not known.
        """
        return from_authors(state, source)[0] if is_authors(state) else dict(state)

    def fingerprints(self) -> dict[str, str]:
        """Which weights this model runs on, for records."""
        found = {
            "image_encoder": self.image_encoder.fingerprint,
            "text_encoder": self.text_encoder.fingerprint,
        }
        if self._head is not None:
            found["head"] = fingerprint("fcclip", self._head)
        return found

    # -- words ---------------------------------------------------------------------------------

    def set_vocabulary(self, vocabulary: Any, background: Any = None) -> Vocabulary:
        """Choose the classes; their words are embedded at once.

        Args:
            vocabulary: anything `Vocabulary.load` takes.
            background: words of a background class to put first, if any.

        Raises:
            VocabularyError: if the words cannot be used.
        """
        loaded = Vocabulary.load(vocabulary)
        if background is not None:
            loaded = loaded.with_background(background)
        if loaded != self.vocabulary:
            device = self.text.device
            self.text = self.classifier(loaded).to(device)
            self.query_to_class = torch.tensor(loaded.query_to_class, device=device)
            self.seen = seen_classes(self.train_vocabulary.words, loaded.words).to(device)
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

    def words(self) -> ClassWords:
        """The classes that are asked for, as the heads take them."""
        return ClassWords(self.text, self.query_to_class, len(self.require_vocabulary()))

    def train_words(self) -> ClassWords:
        """The classes of training, as the heads take them; embedded at first use."""
        if len(self.train_text) == 0:
            device = self.train_text.device
            self.train_text = self.classifier(self.train_vocabulary).to(device)
            owners = torch.tensor(self.train_vocabulary.query_to_class, device=device)
            self.train_query_to_class = owners
        return ClassWords(self.train_text, self.train_query_to_class, len(self.train_vocabulary))

    # -- from pixels to masks ------------------------------------------------------------------

    def forward(
        self,
        inputs: torch.Tensor | list[torch.Tensor],
        data_samples: list | None = None,
        originals: list[torch.Tensor] | None = None,
        mode: str = "predict",
    ):
        """MMEngine's entry: ``mode`` is "loss" (see `loss`) or "predict" (see `predict`)."""
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples, originals)
        raise ConfigError(f"{type(self).__name__} has the modes 'loss' and 'predict', not {mode!r}")

    def forward_heads(
        self, images: torch.Tensor, text: ClassWords | None = None
    ) -> list[dict[str, torch.Tensor]]:
        """Masks and their class logits after every layer of the mask transformer.

        Args:
            images: (B, 3, H, W) float, normalized, H and W multiples of 32.
            text: classes; by default those of training.

        Returns:
            See `MaskTransformer.forward`.
        """
        words = self.train_words() if text is None else text
        return self.decode(self.image_encoder.multiscale(images), words)

    def decode(
        self, maps: Mapping[str, torch.Tensor], text: ClassWords, last_only: bool = False
    ) -> list[dict[str, torch.Tensor]]:
        """As `forward_heads`, from the maps of the tower."""
        mask_features, attended = self.pixel_decoder(maps)
        return self.decoder(attended, mask_features, text, last_only)

    def loss(
        self, inputs: torch.Tensor, data_samples: Sequence[SegDataSample]
    ) -> dict[str, torch.Tensor]:
        """Losses of a batch as the preprocessor makes it while training.

        Args:
            inputs: (B, 3, H, W) float, normalized and padded.
            data_samples: with ``gt_segments``: ``labels`` (n,) int64 and ``masks`` (n, h, w) bool,
                where h and w are those of the image before it was padded.

        Raises:
            ConfigError: the model has no criterion.
        """
        if self.criterion is None:
            raise ConfigError("this model is not trained: set model.criterion in the config")
        size = tuple(inputs.shape[-2:])
        targets = []
        for sample in data_samples:
            segments = sample.gt_segments
            labels = torch.as_tensor(segments.labels, dtype=torch.long, device=inputs.device)
            masks = torch.as_tensor(segments.masks, dtype=torch.bool, device=inputs.device)
            targets.append((labels, pad_to(masks, size)))
        return self.criterion(self.forward_heads(inputs), targets)

    # -- from masks to segmentations -----------------------------------------------------------

    @torch.no_grad()
    def predict(
        self,
        inputs: list[torch.Tensor],
        data_samples: list[SegDataSample] | None = None,
        originals: list[torch.Tensor] | None = None,
        with_scores: bool = False,
        tasks: Sequence[str] | None = None,
    ) -> list[SegDataSample]:
        """Segment images; results do not depend on which images come together.

        Args:
            inputs: list of (3, H, W) uint8 RGB images, of any sizes.
            data_samples: one per image with ``ori_shape`` in its metainfo; by default results are
                given at the size of the inputs.
            originals: not looked at.
            with_scores: scores of classes are always computed; accepted for the sake of callers.
            tasks: which of "semantic", "panoptic" and "instance" to give; by default those of the
                config.

        Returns:
            The data samples with, at ``ori_shape`` and on the CPU:

            - semantic: ``pred_sem_seg`` (1, H, W) int32, ``areas`` and ``scores`` (C,) as metainfo;
            - panoptic: ``pred_panoptic`` (1, H, W) int32 segment ids, 0 for none, and the list
              ``pred_segments`` (see `PanopticResult`) as metainfo;
            - instance: ``pred_instances`` with ``labels`` (n,), ``scores`` (n,), ``masks``
              (n, H, W) bool, best first.
        """
        tasks = self.tasks if tasks is None else _known_tasks(tasks)
        words = self.words()
        if data_samples is None:
            data_samples = [SegDataSample(metainfo={"ori_shape": i.shape[-2:]}) for i in inputs]
        groups: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(inputs):
            size = padded_size(*image.shape[-2:], self.divisor)
            groups.setdefault(size, []).append(place)
        tower = self.image_encoder
        for padded, places in groups.items():
            images = torch.stack(
                [pad_to(normalized(inputs[i], tower.mean, tower.std), padded) for i in places]
            )
            maps = tower.multiscale(images)
            found = self.decode(maps, words, last_only=True)[-1]
            classes = self.class_probabilities(found, maps["res5"], words)
            for i, masks, probabilities in zip(places, found["masks"], classes, strict=True):
                size = tuple(data_samples[i].metainfo["ori_shape"][:2])
                bands = MaskBands(masks, padded, tuple(inputs[i].shape[-2:]), size)
                self._finish(data_samples[i], bands, probabilities, tasks)
        return data_samples

    def class_probabilities(
        self, found: Mapping[str, torch.Tensor], features: torch.Tensor, words: ClassWords
    ) -> torch.Tensor:
        """Class probabilities of masks, by both classifiers.

        Args:
            found: a prediction of the mask transformer for these words.
            features: (B, D, h, w), the tower's last map.
            words: the classes that are asked for.

        Returns:
            (B, Q, C + 1), "no class" last.
        """
        scale = min(self.text_encoder.logit_scale, MAX_SCALE)
        frozen, valid = out_of_vocabulary(
            self.image_encoder, features, found["masks"].float(), words, scale
        )
        return geometric_ensemble(
            found["logits"].float(),
            frozen,
            self.seen,
            self.alpha,
            self.beta,
            valid if self.valid_only else None,
        )

    def _finish(
        self,
        sample: SegDataSample,
        bands: MaskBands,
        probabilities: torch.Tensor,
        tasks: Sequence[str],
    ) -> None:
        """All tasks of one image, in one pass over its masks."""
        things = torch.tensor(self.vocabulary.things)
        inferences: dict[str, Any] = {}
        if "semantic" in tasks:
            inferences["semantic"] = SemanticInference(probabilities, bands.size)
        if "panoptic" in tasks:
            inferences["panoptic"] = PanopticInference(
                probabilities, things, bands.size, self.object_threshold, self.overlap_threshold
            )
        if "instance" in tasks:
            inferences["instance"] = InstanceInference(
                probabilities, things, bands.size, self.max_instances
            )
        others = len(self.vocabulary) + len(probabilities)
        for start, logits in bands.bands(others, self.band_bytes):
            chances = logits.sigmoid()
            for inference in inferences.values():
                inference.add(start, logits, chances)
        if "semantic" in tasks:
            result = inferences["semantic"].result()
            sample.set_data({"pred_sem_seg": PixelData(data=result.labels[None])})
            sample.set_metainfo({"areas": result.areas, "scores": result.scores})
        if "panoptic" in tasks:
            result = inferences["panoptic"].result()
            sample.set_data({"pred_panoptic": PixelData(data=result.ids[None])})
            sample.set_metainfo({"pred_segments": result.segments})
        if "instance" in tasks:
            result = inferences["instance"].result()
            found = {"labels": result.labels, "scores": result.scores, "masks": result.masks}
            sample.set_data({"pred_instances": InstanceData(**found)})


def _check_settings(protocol: Protocol, alpha: float, beta: float, divisor: int) -> None:
    if protocol.crop is not None or protocol.square or protocol.softmax != "pixels":
        raise ConfigError(
            f"protocol {protocol.name}: FC-CLIP reads images whole; leave crop, stride, square and "
            "softmax out"
        )
    if protocol.needs_background or protocol.logit_scale is not None:
        raise ConfigError(
            f"protocol {protocol.name}: FC-CLIP has no thresholds for the background and learns "
            "its logit scale; leave both out"
        )
    if not (0 <= alpha <= 1 and 0 <= beta <= 1):
        raise ConfigError(f"alpha and beta lie between 0 and 1, got {alpha} and {beta}")
    if divisor < 1 or divisor % 32:
        raise ConfigError(f"divisor must be a multiple of 32, the coarsest stride, got {divisor}")


def _known_tasks(tasks: Iterable[str]) -> tuple[str, ...]:
    tasks = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise ConfigError(
            f"there is no task {unknown[0]!r}: choose among {', '.join(TASKS)}"
            if unknown
            else f"no task is asked for: choose among {', '.join(TASKS)}"
        )
    return tasks
