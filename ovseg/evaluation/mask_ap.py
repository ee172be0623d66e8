"""Average precision of instance masks, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
from mmengine.logging import print_log
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation.base import ImageMetric
from ovseg.evaluation.panoptic import panoptic_truth
from ovseg.registry import METRICS

__all__ = ["MaskAP"]

#: Names of the results.
_SCORES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")


@METRICS.register_module()
class MaskAP(ImageMetric):
    """Instance AP in percent, as COCO defines it, over the things of the dataset.

    The ground truth is that of the panoptic task: things and crowds of ``gt_panoptic``. It has no
    overlaps, so that numbers differ a little from those on COCO's ``instances`` files. AP is the
    mean over IoU 0.50 to 0.95; small, medium and large are below 32^2, below 96^2, and from 96^2
    pixels on. Keeps masks as run-length encodings, those of the best predictions of each image.

    Args:
        max_per_image: Predictions of an image that count, best first.
        prefix: Put in front of the names of the results.
    """

    task = "instance"

    def __init__(
        self,
        max_per_image: int = 100,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if max_per_image < 1:
            raise ConfigError(f"MaskAP: max_per_image must be at least 1, not {max_per_image}.")
        self.max_per_image = max_per_image
        self.per_class: list[dict] = []
        self.num_images = 0

    def score_image(self, sample: dict, key: str) -> dict:
        """Encoded masks of the ground truth and of the best predictions.

        Raises:
            DatasetError: There is no ground truth, or it does not fit the prediction.
            ConfigError: The model gives no instances.
        """
        truth, segments = panoptic_truth(sample, key)
        instances = sample.get("pred_instances")
        if instances is None:
            raise ConfigError(
                f"The model gave no instances for {key}, so that it has no mask AP; take a model "
                "for instance segmentation, or leave MaskAP out of test_evaluator."
            )
        things = set(self.things)
        found = []
        for segment in segments:
            if segment["category_id"] not in things:
                continue
            region = truth == segment["id"]
            if region.any():
                found.append(
                    [segment["category_id"], int(segment.get("iscrowd", 0)), _encode(region)]
                )
        labels, scores = (instances[name].cpu().numpy() for name in ("labels", "scores"))
        masks = instances["masks"]
        if tuple(masks.shape[1:]) != truth.shape:
            raise DatasetError(
                f"The masks predicted for {key} are {tuple(masks.shape[1:])} pixels but its ground "
                f"truth is {truth.shape}; predictions must come at the size of the image file."
            )
        known = np.isin(labels, self.things)
        best = np.argsort(-scores, kind="stable")
        best = best[known[best]][: self.max_per_image]
        predicted = [
            [int(labels[i]), float(scores[i]), _encode(masks[i].cpu().numpy())]
            for i in best.tolist()
        ]
        return dict(size=list(truth.shape), truth=found, predicted=predicted)

    @property
    def things(self) -> list[int]:
        """Indices of the classes that count: the things of the dataset, or all."""
        groups = self.dataset_meta.get("groups") or {}
        return groups.get("thing", list(range(len(self.dataset_meta["classes"]))))

    def summarize(self, records: list[dict]) -> dict[str, float]:
        """Scores over all images; the scores of each class are left in ``per_class``."""
        self.num_images = len(records)
        names, things = self.dataset_meta["classes"], self.things
        truth, predicted = [], []
        for image, record in enumerate(records, start=1):
            for label, crowd, counts in record["truth"]:
                shape = dict(size=record["size"], counts=counts)
                entry = dict(id=len(truth) + 1, image_id=image, category_id=label, iscrowd=crowd)
                area, box = int(rle.area(shape)), rle.toBbox(shape).tolist()
                truth.append(dict(entry, segmentation=shape, area=area, bbox=box))
            for label, score, counts in record["predicted"]:
                shape = dict(size=record["size"], counts=counts)
                predicted.append(
                    dict(image_id=image, category_id=label, score=score, segmentation=shape)
                )
        nothing = {name: float("nan") for name in _SCORES}
        self.per_class = [dict(name=names[i], AP=None) for i in things]
        if not truth:
            print_log("MaskAP: the ground truth holds no thing.", logger="current")
            return nothing
        if not predicted:
            held = {entry["category_id"] for entry in truth if not entry["iscrowd"]}
            self.per_class = [dict(name=names[i], AP=0.0 if i in held else None) for i in things]
            return {name: 0.0 for name in _SCORES}
        images = [
            dict(id=image, height=record["size"][0], width=record["size"][1])
            for image, record in enumerate(records, start=1)
        ]
        with contextlib.redirect_stdout(io.StringIO()):  # it tells of every step
            ground = COCO()
            ground.dataset = dict(
                images=images, annotations=truth, categories=[dict(id=i) for i in things]
            )
            ground.createIndex()
            evaluation = COCOeval(ground, ground.loadRes(predicted), "segm")
            evaluation.params.maxDets = [1, 10, self.max_per_image]
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"]  # IoU, recall, class, area, most predictions
        thresholds = evaluation.params.iouThrs

        def mean(values: np.ndarray) -> float:
            counted = values[values > -1]
            return 100 * float(counted.mean()) if counted.size else float("nan")

        every = precision[:, :, :, 0, -1]
        scores = {
            "AP": mean(every),
            "AP50": mean(every[np.isclose(thresholds, 0.5)]),
            "AP75": mean(every[np.isclose(thresholds, 0.75)]),
        }
        for place, name in enumerate(("AP_small", "AP_medium", "AP_large"), start=1):
            scores[name] = mean(precision[:, :, :, place, -1])
        order = evaluation.params.catIds
        for row, i in zip(self.per_class, things, strict=True):
            value = mean(every[:, :, order.index(i)])
            row["AP"] = None if np.isnan(value) else value
        summary = "  ".join(f"{name} {value:.2f}" for name, value in scores.items())
        print_log(f"{summary}  ({self.num_images} images)", logger="current")
        return scores


def _encode(region: np.ndarray) -> str:
    """COCO's compressed run-length encoding."""
    return rle.encode(np.asfortranarray(region, np.uint8))["counts"].decode("ascii")
