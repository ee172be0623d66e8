"""Intersection over union and its relatives, with the rule for absent classes spelled out."""

from __future__ import annotations

import logging

import numpy as np
from mmengine.logging import print_log
from prettytable import PrettyTable

from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation.base import ImageMetric
from ovseg.evaluation.kernels import class_areas
from ovseg.registry import METRICS

__all__ = ["ABSENT_RULES", "SegmentationScores", "scores_from_areas"]

#: How classes count that the ground truth does not hold.
ABSENT_RULES = {
    "union": "classes in neither ground truth nor prediction are left out of mIoU; a class that "
    "is predicted but absent from the ground truth counts as 0 (mmseg's rule)",
    "gt": "only classes of the ground truth count",
    "zero": "every class counts, absent ones as 0",
}


def scores_from_areas(areas: np.ndarray, absent: str = "union") -> dict[str, np.ndarray | float]:
    """Scores of a confusion in class areas.

    Args:
        areas: (3, C) integer pixels: agreed, predicted, ground truth; see `class_areas`.
        absent: Rule for absent classes, a key of `ABSENT_RULES`.

    Returns:
        In percent: ``IoU`` and ``Acc`` (C,), NaN where the rule leaves the class out, and their
        means ``mIoU`` and ``mAcc``, ``aAcc`` (agreed pixels of all) and ``fwIoU`` (IoU weighted by
        the class's share of the ground truth). NaN where nothing counts.

    Raises:
        ConfigError: ``absent`` is no known rule.
    """
    if absent not in ABSENT_RULES:
        raise ConfigError(
            f"absent={absent!r} is no rule for absent classes; choose one of "
            f"{', '.join(ABSENT_RULES)}."
        )
    agreed, predicted, truth = np.asarray(areas, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = 100 * agreed / (predicted + truth - agreed)
        accuracy = 100 * agreed / truth
        overall = 100 * agreed.sum() / truth.sum()
        weighted = (truth * np.nan_to_num(iou)).sum() / truth.sum()
    if absent == "gt":
        iou = np.where(truth > 0, iou, np.nan)
    elif absent == "zero":
        iou, accuracy = np.nan_to_num(iou), np.nan_to_num(accuracy)
    return dict(
        IoU=iou,
        Acc=accuracy,
        mIoU=_mean(iou),
        mAcc=_mean(accuracy),
        aAcc=float(overall),
        fwIoU=float(weighted),
    )


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")


@METRICS.register_module()
class SegmentationScores(ImageMetric):
    """mIoU, mAcc, aAcc and fwIoU in percent, overall, by class, and by group of classes.

    Keeps the class areas of each image, so that memory grows with images and the classes in them,
    not with pixels. The sums are integers: exact for any number of pixels, processes and orders.

    Args:
        absent: Rule for classes that the ground truth does not hold, a key of `ABSENT_RULES`. It
            is recorded with the results.
        ignore_index: Ground-truth label of void pixels; by default what the dataset says, else 255.
        table: Log a table of all classes.
        prefix: Put in front of the names of the results.

    Raises:
        ConfigError: ``absent`` is no known rule.
    """

    kind = ""  # in front of the names of the results
    overall = ("mIoU", "mAcc", "aAcc", "fwIoU")

    def __init__(
        self,
        absent: str = "union",
        ignore_index: int | None = None,
        table: bool = True,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        scores_from_areas(np.zeros((3, 1)), absent)  # refuses unknown rules before a run
        self.absent = absent
        self.ignore_index = ignore_index
        self.table = table
        self.per_class: list[dict] = []
        self.num_images = 0

    def score_image(self, sample: dict, key: str) -> dict:
        """Areas of the classes that occur in the prediction or the ground truth of an image.

        Raises:
            DatasetError: There is no ground truth, or it does not fit the prediction or the
                classes.
        """
        truth = sample.get("gt_sem_seg")
        if truth is None:
            raise DatasetError(
                f"Image {key} came without ground truth and cannot be scored; add LoadMask to the "
                "pipeline."
            )
        void = self.void
        prediction = sample["pred_sem_seg"]["data"].squeeze(0).cpu().numpy()
        target = truth["data"].squeeze(0).cpu().numpy()
        if prediction.shape != target.shape:
            raise DatasetError(
                f"The prediction for {key} is {prediction.shape} pixels (height, width) but its "
                f"mask is {target.shape}; predictions must come at the size of the image file."
            )
        areas, unknown = self.count(prediction, target)
        if unknown:
            raise DatasetError(
                f"The mask of {key} has {unknown} pixels that are neither one of the "
                f"{self.num_classes} classes nor void ({void}); check the classes of the dataset."
            )
        present = np.flatnonzero(areas.any(axis=0))
        return dict(
            zip(
                ("classes", "agreed", "predicted", "truth"),
                [present.tolist(), *areas[:, present].tolist()],
                strict=True,
            )
        )

    def count(self, prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, int]:
        """What `class_areas` gives of an image; what else is counted overrides it."""
        return class_areas(prediction, target, self.num_classes, self.void)

    @property
    def void(self) -> int:
        """Ground-truth label of pixels that do not count."""
        if self.ignore_index is not None:
            return self.ignore_index
        return (self.dataset_meta or {}).get("ignore_index", 255)

    @property
    def num_classes(self) -> int:
        """Number of classes of the dataset."""
        return len(self.dataset_meta["classes"])

    def summarize(self, records: list[dict]) -> dict[str, float]:
        """Scores over all images; the scores of each class are left in ``per_class``."""
        areas = np.zeros((3, self.num_classes), np.int64)
        for record in records:
            classes = np.array(record["classes"], np.int64)
            counts = [record["agreed"], record["predicted"], record["truth"]]
            areas[:, classes] += np.array(counts, np.int64)
        scores = scores_from_areas(areas, self.absent)
        self.num_images = len(records)
        self.per_class = [
            dict(name=name, IoU=_or_none(iou), Acc=_or_none(acc), predicted=int(p), truth=int(t))
            for name, iou, acc, p, t in zip(
                self.dataset_meta["classes"], scores["IoU"], scores["Acc"], *areas[1:], strict=True
            )
        ]
        overall = {f"{self.kind}{name}": scores[name] for name in self.overall}
        for group, members in (self.dataset_meta.get("groups") or {}).items():
            overall[f"{self.kind}mIoU_{group}"] = _mean(scores["IoU"][members])
        if self.table:
            print_log(f"\n{self._table(overall)}", logger="current")
        if not records:
            print_log("No image was scored.", logger="current", level=logging.WARNING)
        return overall

    def _table(self, overall: dict[str, float]) -> str:
        """All classes, then the overall scores, for the console."""
        everything = sum(row["truth"] for row in self.per_class) or 1
        table = PrettyTable(["class", "IoU", "Acc", "share of pixels"])
        table.align = "r"
        table.align["class"] = "l"
        for row in self.per_class:
            values = [
                _cell(row["IoU"]),
                _cell(row["Acc"]),
                f"{100 * row['truth'] / everything:.2f}",
            ]
            table.add_row([row["name"], *values])
        summary = "  ".join(f"{name} {value:.2f}" for name, value in overall.items())
        return (
            f"{table.get_string()}\n{summary}  ({self.num_images} images, {self.num_classes} "
            f"classes; {ABSENT_RULES[self.absent]})"
        )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
