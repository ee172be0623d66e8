"""Panoptic quality: how well segments are found (RQ) and how well they are outlined (SQ).

Kirillov et al., "Panoptic Segmentation", CVPR 2019. The rules for void and crowds are those of the
public evaluation code of COCO (cocodataset/panopticapi, ``pq_compute``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log
from prettytable import PrettyTable

from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation.base import ImageMetric
from ovseg.evaluation.kernels import segment_overlaps
from ovseg.registry import METRICS

__all__ = ["PanopticQuality", "match_segments", "panoptic_truth", "quality"]

VOID = 0
_COUNTS = ("tp", "fp", "fn")


def match_segments(
    prediction: np.ndarray,
    truth: np.ndarray,
    predicted_segments: Sequence[dict],
    true_segments: Sequence[dict],
) -> dict[int, dict[str, float]]:
    """Match the segments of one image.

    A predicted and a true segment of one class match where their IoU is above 0.5 (so that no
    segment can match two). Void pixels do not count in the union, pixels of crowds are nobody's
    to match. What is left over is missed (fn) or false (fp), except: crowds are never missed, and
    a predicted segment is not false if more than half of it lies on void or on a crowd of its
    class. Segments that are listed but have no pixel are missed where they are true, and left out
    where they are predicted.

    Args:
        prediction: (H, W) integer segment ids, 0 for none.
        truth: (H, W) integer segment ids, 0 for void.
        predicted_segments: Dicts with ``id`` and ``category_id``.
        true_segments: Dicts with ``id``, ``category_id``, ``iscrowd`` and ``area``; the area goes
            into the union as it is given.

    Returns:
        By class the counts ``tp``, ``fp``, ``fn`` and the sum of the IoUs of matches, ``iou``.

    Raises:
        ValueError: The shapes differ, or a map holds an id that is not listed; the message says
            in which of the two ("prediction" or "ground truth").
    """
    prediction_ids, predicted = _listed(predicted_segments)
    truth_ids, true = _listed(true_segments)
    overlaps, stray = segment_overlaps(prediction, truth, prediction_ids, truth_ids)
    if stray >= 0:
        for what, ids, known in (
            ("prediction", prediction, prediction_ids),
            ("ground truth", truth, truth_ids),
        ):
            value = int(ids.reshape(-1)[stray])
            if value not in known:
                raise ValueError(f"the {what} holds segment {value}, which is not among its list")
    matches = _matches(overlaps, predicted, true)
    # Python's own numbers from here on: asking arrays for one at a time would take longer.
    areas, on_void = overlaps.sum(axis=0).tolist(), overlaps[0].tolist()
    found: dict[int, dict[str, float]] = {}

    def add(segment: dict, name: str, value: float = 1) -> None:
        category = int(segment["category_id"])
        if category not in found:
            found[category] = dict(tp=0, fp=0, fn=0, iou=0.0)
        found[category][name] += value

    matched_predicted = set()
    crowd_of: dict[int, int] = {}  # as in the public code the last crowd of a class stands for it
    for t, segment in true.items():
        if segment.get("iscrowd", 0):
            crowd_of[segment["category_id"]] = t
        elif t in matches:
            p, iou = matches[t]
            add(segment, "tp")
            add(segment, "iou", iou)
            matched_predicted.add(p)
        else:
            add(segment, "fn")
    for p, segment in predicted.items():
        if p in matched_predicted or areas[p] == 0:
            continue
        excused = on_void[p]
        if segment["category_id"] in crowd_of:
            excused += int(overlaps[crowd_of[segment["category_id"]], p])
        if not excused / areas[p] > 0.5:
            add(segment, "fp")
    return found


def _matches(
    overlaps: np.ndarray, predicted: dict[int, dict], true: dict[int, dict]
) -> dict[int, tuple[int, float]]:
    """The predicted segment that a true one matches, and their IoU, by places."""
    # Nothing matches what is void or a crowd: classes that no segment of the other side has.
    class_of_true, class_of_predicted = (
        np.full(length, nobody, np.int64)
        for length, nobody in zip(overlaps.shape, (-1, -2), strict=True)
    )
    given = np.zeros(len(overlaps), np.int64)
    for t, segment in true.items():
        if not segment.get("iscrowd", 0):
            class_of_true[t], given[t] = segment["category_id"], segment["area"]
    for p, segment in predicted.items():
        class_of_predicted[p] = segment["category_id"]
    union = overlaps.sum(axis=0) - overlaps[0] + given[:, None] - overlaps
    alike = class_of_true[:, None] == class_of_predicted
    t, p = np.nonzero(alike & (2 * overlaps > union) & (union > 0))
    iou = overlaps[t, p] / union[t, p]
    return {t: (p, iou) for t, p, iou in zip(t.tolist(), p.tolist(), iou.tolist(), strict=True)}


def _listed(segments: Sequence[dict]) -> tuple[np.ndarray, dict[int, dict]]:
    """Ids in ascending order behind 0, and the segment at each place, in the order of the list."""
    listed = [int(s["id"]) for s in segments]
    ids = sorted({VOID, *listed})
    place = {number: at for at, number in enumerate(ids)}
    return np.array(ids, np.int64), {
        place[number]: segment for number, segment in zip(listed, segments, strict=True)
    }


def quality(sums: np.ndarray) -> dict[str, np.ndarray]:
    """PQ, SQ and RQ of each class, in percent.

    Args:
        sums: (4, C) true positives, false positives, false negatives, sum of IoUs.

    Returns:
        ``PQ``, ``SQ``, ``RQ``: (C,), NaN for classes that neither truth nor prediction holds.
    """
    tp, fp, fn, iou = np.asarray(sums, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = tp + fp / 2 + fn / 2
        pq, rq = iou / weight, tp / weight
        sq = np.where(tp > 0, iou / np.maximum(tp, 1), np.where(weight > 0, 0.0, np.nan))
    return {"PQ": 100 * pq, "SQ": 100 * sq, "RQ": 100 * rq}


def panoptic_truth(sample: dict, key: str) -> tuple[np.ndarray, list[dict]]:
    """Ground-truth segment ids (H, W) and segments of a sample.

    Raises:
        DatasetError: The sample has none.
    """
    truth, segments = sample.get("gt_panoptic"), sample.get("segments_info")
    if truth is None or segments is None:
        raise DatasetError(
            f"Image {key} came without panoptic ground truth and cannot be scored; take a panoptic "
            "dataset, with LoadPanoptic and PackPanoptic in its pipeline."
        )
    return truth["data"].squeeze(0).cpu().numpy(), segments


@METRICS.register_module()
class PanopticQuality(ImageMetric):
    """PQ, SQ and RQ in percent: overall, of things, of stuff, and by class.

    Keeps the counts of each image. A mean is over the classes that truth or prediction hold
    anywhere; the others are left out of it.

    Args:
        table: Log a table of all classes.
        prefix: Put in front of the names of the results.
    """

    task = "panoptic"

    def __init__(
        self, table: bool = True, collect_device: str = "cpu", prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.table = table
        self.per_class: list[dict] = []
        self.num_images = 0

    def score_image(self, sample: dict, key: str) -> dict:
        """Counts of the classes that occur.

        Raises:
            DatasetError: There is no ground truth, or it does not fit the prediction.
            ConfigError: The model gives no segments.
        """
        truth, segments = panoptic_truth(sample, key)
        if sample.get("pred_panoptic") is None:
            raise ConfigError(
                f"The model gave no segments for {key}, so that it has no panoptic quality; take a "
                "model for panoptic segmentation, or leave PanopticQuality out of test_evaluator."
            )
        prediction = sample["pred_panoptic"]["data"].squeeze(0).cpu().numpy()
        try:
            found = match_segments(prediction, truth, sample["pred_segments"], segments)
        except ValueError as error:
            raise DatasetError(f"{key} cannot be scored: {error}.") from error
        stray = [label for label in found if not 0 <= label < len(self.dataset_meta["classes"])]
        if stray:
            raise DatasetError(
                f"A segment of {key} is of class {stray[0]}, but the dataset has "
                f"{len(self.dataset_meta['classes'])} classes."
            )
        classes = sorted(found)
        record: dict = {"classes": classes}
        for name in (*_COUNTS, "iou"):
            record[name] = [found[label][name] for label in classes]
        return record

    def summarize(self, records: list[dict]) -> dict[str, float]:
        """Scores over all images; the scores of each class are left in ``per_class``."""
        names = self.dataset_meta["classes"]
        sums = np.zeros((4, len(names)))
        for record in records:
            for row, name in enumerate((*_COUNTS, "iou")):
                sums[row, record["classes"]] += record[name]
        self.num_images = len(records)
        scores = quality(sums)
        self.per_class = [
            dict(
                name=name,
                **{score: _or_none(values[i]) for score, values in scores.items()},
                **{count: int(sums[row, i]) for row, count in enumerate(_COUNTS)},
            )
            for i, name in enumerate(names)
        ]
        groups = {"": range(len(names)), **(self.dataset_meta.get("groups") or {})}
        overall = {}
        for group, members in groups.items():
            for score, values in scores.items():
                counted = values[list(members)]
                counted = counted[~np.isnan(counted)]
                mean = float(counted.mean()) if len(counted) else float("nan")
                overall[f"{score}_{group}" if group else score] = mean
        if self.table:
            print_log(f"\n{self._table(overall)}", logger="current")
        return overall

    def _table(self, overall: dict[str, float]) -> str:
        columns = ["PQ", "SQ", "RQ", *_COUNTS]
        table = PrettyTable(["class", *columns])
        table.align = "r"
        table.align["class"] = "l"
        for row in self.per_class:
            cells = [row[column] for column in columns]
            shown = ["-" if c is None else f"{c:.2f}" if isinstance(c, float) else c for c in cells]
            table.add_row([row["name"], *shown])
        summary = "  ".join(f"{name} {value:.2f}" for name, value in overall.items())
        return f"{table.get_string()}\n{summary}  ({self.num_images} images)"


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
