"""What a CLIP says of given regions: by its dense map, and of the same regions as crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from mmseg.structures import SegDataSample
from PIL import Image
from torch.nn import functional as F

from ovseg.dense import AttentionRule, box_features, dense_map, mask_features
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.segmentors.mask_preprocessor import normalized
from ovseg.segmentors.preprocessor import ImagePreprocessor
from ovseg.text import TextClassifier, Vocabulary
from ovseg.utils.letterbox import crop_boxes, letterbox, mask_box

#: How a region is read.
WAYS = ("boxes", "masks", "crops")


@MODELS.register_module()
class RegionClassifier(BaseModel):
    """Compares the regions of a ground truth with all classes, to score a tower's dense map.

    Three ways: the box pooled from the dense map, the mask pooled from it, and the box cut out of
    the image and read as an image of its own.

    Source: the dense classification of Wu et al., CLIPSelf, ICLR 2024, section 4 (wusize/CLIPSelf,
    ``zero_shot.py`` and ``COCOPanopticDataset``).

    Args:
        image_encoder: Config of a CLIP image tower, a `CLIPViT`.
        text_encoder: Config of its text tower.
        size: Side of the square that images are resized to fit; published: 1024 for ViT-B/16, 896
            for ViT-L/14.
        attention: Config of the attention rule of the last block; by default the published one.
        crop_size: Side of crops; by default the tower's own.
        context: How much larger than its box the crop of a thing is; that of stuff is its box.
        min_size: Segments whose box has a smaller area than a square of this side do not count.
        max_size: Likewise those of a larger area.
        mask_resize: "bicubic" as torchvision resized tensors when the code was published,
            "bicubic_antialias" as it does since 0.17; positions above 0 are the mask.
        ways: Those of `WAYS` that are wanted.
        vocabulary: Anything `Vocabulary.load` takes; may be given later by `set_vocabulary`.
        templates: Name of a template set, or a list of templates with ``{}``.
        crop_batch: How many crops go through the tower at a time.
        text_cache: Keep text embeddings on disk.

    Raises:
        ConfigError: A size the tower cannot read, or an unknown way.
    """

    def __init__(
        self,
        image_encoder: dict,
        text_encoder: dict,
        size: int = 1024,
        attention: dict | None = None,
        crop_size: int | None = None,
        context: float = 1.5,
        min_size: float = 8,
        max_size: float = 1024,
        mask_resize: str = "bicubic",
        ways: Sequence[str] = WAYS,
        vocabulary: Any = None,
        templates: str | list[str] = "openai80",
        crop_batch: int = 32,
        text_cache: bool = True,
    ) -> None:
        super().__init__(data_preprocessor=ImagePreprocessor())
        self.image_encoder = tower = MODELS.build(image_encoder)
        if not hasattr(tower, "block"):
            raise ConfigError(
                f"regions are pooled from the dense map of a vision transformer, not of a "
                f"{type(tower).__name__}: use image_encoder=dict(type='CLIPViT', ...)"
            )
        self.text_encoder = MODELS.build(text_encoder)
        patch = tower.patch_size
        self.size = size
        self.crop_size = patch * max(tower.native_grid) if crop_size is None else crop_size
        for name, side in (("size", size), ("crop_size", self.crop_size)):
            if side < patch or side % patch:
                raise ConfigError(f"{name} must be a multiple of the patch size {patch}: {side}")
        unknown = [way for way in ways if way not in WAYS]
        if unknown or not ways:
            raise ConfigError(f"ways must be some of {', '.join(WAYS)}, got {list(ways)}")
        if mask_resize not in ("bicubic", "bicubic_antialias"):
            raise ConfigError(
                f"mask_resize must be 'bicubic' or 'bicubic_antialias', got {mask_resize!r}"
            )
        if context < 1 or not 0 <= min_size < max_size or crop_batch < 1:
            raise ConfigError(
                f"context {context}, min_size {min_size}, max_size {max_size}, crop_batch "
                f"{crop_batch}: context and crop_batch are at least 1, sizes ascend"
            )
        self.attention: AttentionRule | None = attention and MODELS.build(attention)
        self.context, self.sizes = context, (min_size, max_size)
        self.mask_resize, self.ways, self.crop_batch = mask_resize, tuple(ways), crop_batch
        self.classifier = TextClassifier(self.text_encoder, templates, cache=text_cache)
        self.vocabulary: Vocabulary | None = None
        self._wanted = vocabulary
        self.register_buffer("text", torch.empty(0), persistent=False)
        self.register_buffer("query_to_class", torch.empty(0, dtype=torch.long), persistent=False)

    # -- words ---------------------------------------------------------------------------------

    def set_vocabulary(self, vocabulary: Any) -> Vocabulary:
        """Choose the classes; their words are embedded at once.

        Raises:
            VocabularyError: The words cannot be used.
        """
        loaded = Vocabulary.load(vocabulary)
        if loaded != self.vocabulary:
            device = self.query_to_class.device
            self.text = self.classifier(loaded).to(device)
            self.query_to_class = torch.tensor(loaded.query_to_class, device=device)
            self.vocabulary = loaded
        return loaded

    def require_vocabulary(self) -> Vocabulary:
        """The vocabulary; embeds the configured one at first use.

        Raises:
            ConfigError: There is none.
        """
        if self.vocabulary is None:
            if self._wanted is None:
                raise ConfigError("this model has no classes yet: set model.vocabulary")
            self.set_vocabulary(self._wanted)
        return self.vocabulary

    def fingerprints(self) -> dict[str, str]:
        """Which weights this model runs on, for records."""
        return {
            "image_encoder": self.image_encoder.fingerprint,
            "text_encoder": self.text_encoder.fingerprint,
        }

    # -- regions -------------------------------------------------------------------------------

    def forward(
        self,
        inputs: list[torch.Tensor],
        data_samples: list | None = None,
        originals: list[torch.Tensor] | None = None,
        mode: str = "predict",
    ):
        """MMEngine's entry; only ``mode="predict"`` has a meaning."""
        if mode != "predict":
            raise ConfigError(f"{type(self).__name__} trains nothing; mode {mode!r} is not for it")
        return self.predict(inputs, data_samples)

    @torch.no_grad()
    def predict(
        self, inputs: list[torch.Tensor], data_samples: list[SegDataSample]
    ) -> list[SegDataSample]:
        """Compare the segments of images with the classes.

        Args:
            inputs: (3, H, W) uint8 RGB images.
            data_samples: With ``gt_panoptic`` (1, H, W) and ``segments_info``, as `PackPanoptic`
                packs them.

        Returns:
            The samples with ``pred_regions``: InstanceData of ``ids`` (n,) int64 of the segments
            that count, and for each way cosines (n, C) float32 with the classes, of whose words the
            best speaks.

        Raises:
            ConfigError: The samples have no segments.
        """
        self.require_vocabulary()
        for image, sample in zip(inputs, data_samples or [None] * len(inputs), strict=True):
            if sample is None or "gt_panoptic" not in sample:
                raise ConfigError(
                    "RegionClassifier reads the segments of a ground truth: put LoadPanoptic and "
                    "PackPanoptic (or RenderScene with panoptic=True) into the pipeline"
                )
            sample.pred_regions = InstanceData(**self._classify(image, sample))
        return data_samples

    def _classify(self, image: torch.Tensor, sample: SegDataSample) -> dict[str, torch.Tensor]:
        ids = sample.gt_panoptic.data[0].cpu().numpy()
        numbers, masks, boxes, crop_boxes_ = [], [], [], []
        picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))
        for segment in sample.metainfo["segments_info"]:
            mask = ids == segment["id"]
            if not mask.any():  # listed, but under others
                continue
            x0, y0, x1, y1 = box = mask_box(mask)
            if not self.sizes[0] ** 2 <= (x1 - x0) * (y1 - y0) <= self.sizes[1] ** 2:
                continue
            numbers.append(int(segment["id"]))
            masks.append(mask)
            boxes.append(box)
            crop_boxes_.append((box, self.context if segment["isthing"] else 1.0))
        found = {"ids": torch.tensor(numbers, dtype=torch.long)}
        if not numbers:
            nothing = torch.zeros(0, len(self.vocabulary))
            return {**found, **dict.fromkeys(self.ways, nothing)}
        if {"boxes", "masks"} & set(self.ways):
            dense = dense_map(self.image_encoder, self._pixels([picture]), self.attention)
            if "boxes" in self.ways:
                places = torch.tensor(boxes, dtype=torch.float32) / max(picture.size)
                found["boxes"] = self._cosines(box_features(dense, [places.to(dense.device)]))
            if "masks" in self.ways:
                at_map = self.resize_masks(torch.from_numpy(np.stack(masks)).to(dense.device))
                found["masks"] = self._cosines(mask_features(dense, [at_map]))
        if "crops" in self.ways:
            found["crops"] = self._cosines(self._embed_crops(picture, crop_boxes_))
        return found

    def resize_masks(self, masks: torch.Tensor) -> torch.Tensor:
        """Masks (n, H, W) of an image at the size of its dense map: (n, size / p, size / p) bool.

        As images are: fitting the square, in its upper left corner.
        """
        side = self.size // self.image_encoder.patch_size
        height, width = masks.shape[-2:]
        scale = side / max(height, width)
        size = max(round(height * scale), 1), max(round(width * scale), 1)
        resized = F.interpolate(
            masks[None].float(),
            size,
            mode="bicubic",
            align_corners=False,
            antialias=self.mask_resize == "bicubic_antialias",
        )[0]
        return F.pad(resized, (0, side - size[1], 0, side - size[0])) > 0

    def _pixels(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """(B, 3, size, size) normalized."""
        tower = self.image_encoder
        pixels = [
            torch.from_numpy(np.array(letterbox(picture, self.size))).permute(2, 0, 1)
            for picture in pictures
        ]
        return torch.stack([normalized(p.to(tower.device), tower.mean, tower.std) for p in pixels])

    def _embed_crops(
        self, picture: Image.Image, boxes: Sequence[tuple[tuple[int, int, int, int], float]]
    ) -> torch.Tensor:
        tower, found = self.image_encoder, []
        for start in range(0, len(boxes), self.crop_batch):
            crops = np.concatenate(
                [
                    crop_boxes(picture, np.array([box]), self.crop_size, context)
                    for box, context in boxes[start : start + self.crop_batch]
                ]
            )
            pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).to(tower.device)
            found.append(tower(normalized(pixels, tower.mean, tower.std)))
        return torch.cat(found)

    def _cosines(self, features: torch.Tensor) -> torch.Tensor:
        """(n, C) cosines of features (n, E) with the classes, on the CPU."""
        of_words = F.normalize(features.float(), dim=-1) @ self.text.T
        classes = of_words.new_full((len(of_words), len(self.vocabulary)), -torch.inf)
        owners = self.query_to_class.expand(len(of_words), -1)
        return classes.scatter_reduce(1, owners, of_words, "amax").cpu()
