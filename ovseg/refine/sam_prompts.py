"""Labels as prompts: each coarse region is shown to SAM, which answers with its own outline."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.dense.decode import Labels, Naming
from ovseg.dense.logit_map import Cropped, LogitMap, Resized, TensorMap, bands
from ovseg.dense.picture import Picture
from ovseg.dense.sam_view import sam_view
from ovseg.refine.base import Refiner
from ovseg.refine.probabilities import ClassProbabilities
from ovseg.refine.regions import Regions, find_regions
from ovseg.registry import MODELS


@MODELS.register_module()
class SAMRefiner(Refiner):
    """Coarse regions become box, point and mask prompts of SAM.

    Every connected region of a class, found at half the size of the image, prompts SAM with its
    bounding box, its most probable pixel, and the probabilities of its class as a faint mask. Where
    SAM trusts its answer, the region's score at a pixel of the answer is the probability of the
    class times that of the mask, and the highest score takes the pixel. Pixels that no answer
    covers keep their label, and so do pixels of regions whose answer is not trusted, unless an
    answer for another region scores higher there.

    Works on labels of any rule, with or without a background class (which is prompted as any other
    class). No map of all classes is ever held: one number a pixel, and bands of the classes whose
    regions are being decoded.

    Source: Shi et al., Trident, ICCV 2025, section 3.4; constants of the authors' code.

    Args:
        encoder: name of a `ovseg.encoders.SAM`, of the segmentor's ``encoders``.
        coarse_threshold: pixels whose best class is less probable belong to no region.
        minimal_area: regions of fewer pixels (of the smaller map) are left alone.
        iou_threshold: answers are trusted above this predicted quality.
        mask_scale: factor from probabilities to logits of the mask prompt; 0 gives no mask.
        shrink: regions are found at this fraction of the image's sides.
        multiple: see `ovseg.dense.sam_view`; the same as an aggregator's shares its view.
        region_batch: regions decoded and compared at a time.
    """

    def __init__(
        self,
        encoder: str = "sam",
        coarse_threshold: float = 0.2,
        minimal_area: int = 225,
        iou_threshold: float = 0.8,
        mask_scale: float = 0.005,
        shrink: int = 2,
        multiple: int = 1,
        region_batch: int = 64,
    ) -> None:
        super().__init__(encoder)
        self.coarse_threshold, self.minimal_area = coarse_threshold, minimal_area
        self.iou_threshold, self.mask_scale = iou_threshold, mask_scale
        self.shrink, self.multiple, self.region_batch = shrink, multiple, region_batch

    def forward(
        self,
        logits: LogitMap,
        picture: Picture,
        naming: Naming,
        size: tuple[int, int],
        encoder: nn.Module,
        with_scores: bool = False,
    ) -> Labels:
        """Refine one picture; see `Refiner.forward`."""
        logits = Resized(logits, size)
        coarse = naming.decode(logits, with_scores)
        probabilities = ClassProbabilities.of(logits, naming)
        regions = self.regions(coarse.labels, probabilities)
        if not len(regions):
            return coarse
        contest = _Contest(probabilities)
        trusted = torch.zeros(len(regions), dtype=torch.bool)
        for start in range(0, len(regions), self.region_batch):
            some = slice(start, start + self.region_batch)
            trusted[some] = self._answer(regions, some, probabilities, picture, encoder, contest)
        if not trusted.any():
            return coarse
        failed = _enlarge(torch.from_numpy(regions.index), ~trusted, size)
        labels = contest.settle(coarse.labels, failed)
        return _count(labels, probabilities, naming.num_classes, with_scores)

    def regions(self, labels: torch.Tensor, probabilities: ClassProbabilities) -> Regions:
        """The regions to prompt, in pixels of the smaller map."""
        small = tuple(max(1, side // self.shrink) for side in labels.shape)
        labels = _nearest(labels, small).long()
        classes = labels.unique()
        if self.coarse_threshold > 0:
            # No other class is as probable as the threshold at any pixel.
            likely = probabilities.likely(self.coarse_threshold).to(labels.device)
            classes = torch.cat([classes, likely]).unique()
            probabilities = probabilities.select(classes)
        else:
            classes = torch.arange(probabilities.count)
        source = Resized(probabilities, small)
        own, top = torch.empty(small), torch.empty(small)
        peaks = torch.zeros(probabilities.count)
        own_place = torch.searchsorted(classes, labels)
        for start, stop in bands(small[0], self.shrink**2 * probabilities.count, small[1]):
            band = source.rows(start, stop)
            here = own_place[start:stop].to(band.device)
            own[start:stop] = band.gather(0, here[None])[0].cpu()
            top[start:stop] = band.amax(0).cpu()
            peaks = torch.maximum(peaks, band.amax((1, 2)).cpu())
        nowhere = (top < self.coarse_threshold) | (peaks < self.coarse_threshold)[own_place]
        labels = labels.masked_fill(nowhere, -1)
        return find_regions(labels.numpy(), own.numpy(), self.minimal_area)

    def _answer(self, regions, some: slice, probabilities, picture, encoder, contest):
        """Ask SAM about some regions; its answers enter the contest. Gives which are trusted."""
        classes, which = torch.from_numpy(regions.classes[some]).unique(return_inverse=True)
        state = sam_view(picture, encoder, self.multiple)
        device = state.embedding.device
        part = probabilities.select(classes)
        small = regions.index.shape
        factor = torch.tensor([state.input_size[1] / small[1], state.input_size[0] / small[0]])
        points = (torch.from_numpy(regions.points[some]) * factor).to(device)
        boxes = (torch.from_numpy(regions.boxes[some]) * factor.repeat(2)).to(device)
        masks = None
        if self.mask_scale > 0:
            masks = self._mask_prompts(part, small, state, encoder).to(device)[which]
        ones = torch.ones(len(points), 1, dtype=torch.int64, device=device)
        low, quality = encoder.prompt_masks(
            state, points=(points[:, None], ones), boxes=boxes, masks=masks, multimask=False
        )
        trusted = quality[:, 0] > self.iou_threshold
        if trusted.any():
            side = encoder.image_size
            square = Resized(TensorMap(low[trusted, 0]), (side, side))
            answers = Resized(Cropped(square, state.input_size), probabilities.size)
            contest.enter(answers, part, which[trusted.cpu()], classes)
        return trusted.cpu()

    def _mask_prompts(self, part, small, state, encoder) -> torch.Tensor:
        """(K, 1, h, w) faint logits of K classes in the frame of SAM's mask prompts."""
        frame = [4 * side for side in state.grid]
        size = tuple(
            max(1, int(side * length / encoder.image_size + 0.5))
            for side, length in zip(state.input_size, frame, strict=True)
        )
        source = Resized(Resized(part, small), size)
        # Bands count what is read for them: rows of the whole image.
        ratio = -(-part.size[0] // size[0]) * -(-part.size[1] // size[1])
        spans = bands(size[0], part.count * max(1, ratio), size[1])
        shown = torch.cat([source.rows(*span) for span in spans], dim=1)
        shown = torch.where(shown > self.coarse_threshold, shown * self.mask_scale, 0)
        return F.pad(shown, (0, frame[1] - size[1], 0, frame[0] - size[0]))[:, None]


class _Contest:
    """Which answer has the highest score at each pixel so far."""

    def __init__(self, probabilities: ClassProbabilities) -> None:
        self.top = probabilities.top
        self.score = torch.zeros_like(self.top)
        self.label = torch.zeros_like(self.top, dtype=torch.int32)

    def enter(self, answers: Resized, part: ClassProbabilities, which, classes) -> None:
        """Let answers compete.

        Args:
            answers: mask logits (R, H, W), read in bands.
            part: probabilities of K classes.
            which: (R,) int64, of these K the class of each answer.
            classes: (K,) int64, what they are called.
        """
        height, width = self.score.shape
        names = classes[which].int().to(self.label.device)
        which = which.to(self.label.device)
        inner = answers.source.size  # of which as many rows are read as make up the band
        ratio = -(-inner[0] // height) * -(-inner[1] // width)
        for start, stop in bands(height, 4 * len(which) * ratio, width):
            mask = answers.rows(start, stop)
            score = mask.sigmoid() * part.rows(start, stop)[which] * (mask > 0)
            best, winner = score.max(0)
            better = best > self.score[start:stop]
            self.score[start:stop][better] = best[better]
            self.label[start:stop][better] = names[winner[better]]

    def settle(self, coarse: torch.Tensor, failed: torch.Tensor) -> torch.Tensor:
        """Final labels (H, W) int32 on the CPU.

        Args:
            coarse: (H, W) int32 labels before.
            failed: (H, W) bool, pixels of regions without a trusted answer.
        """
        kept = (self.score == 0) | (failed.to(self.top.device) & (self.top > self.score))
        return torch.where(kept.cpu(), coarse, self.label.cpu())


def _nearest(labels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(H, W) at another size by nearest neighbor, for labels of any number."""
    rows, columns = (
        (torch.arange(new) * old) // new for old, new in zip(labels.shape, size, strict=True)
    )
    return labels[rows][:, columns]


def _enlarge(index: torch.Tensor, chosen: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(H, W) bool: pixels of the chosen regions."""
    inside = torch.cat([chosen, chosen.new_zeros(1)])  # -1, no region, is the last
    return _nearest(inside[index.long()], size)


def _count(labels, probabilities: ClassProbabilities, num_classes: int, with_scores: bool):
    areas = torch.bincount(labels.flatten(), minlength=num_classes)
    if not with_scores:
        return Labels(labels, areas, None)
    sums = torch.zeros(num_classes, dtype=torch.float64)
    present = areas.nonzero().flatten()
    part = probabilities.select(present)
    for start, stop in bands(labels.shape[0], len(present), labels.shape[1]):
        band = part.rows(start, stop)
        here = labels[start:stop].long()
        where = torch.searchsorted(present, here).to(band.device)
        own = band.gather(0, where[None])[0].cpu().double()
        sums += torch.bincount(here.flatten(), own.flatten(), minlength=num_classes)
    return Labels(labels, areas, (sums / areas.clamp(min=1)).float())
