#!/usr/bin/env python
"""Measure the metrics beside public references, on the same label maps, in one run.

    python tools/benchmark/metrics.py
    python tools/benchmark/metrics.py --masks data/ADEChallengeData2016/annotations/validation

Beside mmseg's IoUMetric (mIoU), beside panoptic quality in plain Python and numpy, which combines
the two ids of a pixel and counts the pairs, as COCO's public evaluation does, and beside Boundary
IoU class by class with OpenCV's erosion, as its authors' code does. Printed are the CPU times of
one thread that an image takes (without the final table), the median of the repeats, which alternate
between ours and theirs, and the ratio of the two. The scores are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric

import ovseg.registry  # noqa: F401 (makes mmseg's parts known)
from ovseg.datasets.labels import read_index_mask
from ovseg.evaluation import BoundaryScores, PanopticQuality, SegmentationScores
from ovseg.evaluation.boundary import boundary_width

VOID = 255


# ------------------------------------------------------------ label maps


def drawn_truth(number: int, size: tuple[int, int], classes: int) -> np.ndarray:
    """A label map of some thirty regions: each pixel is of the nearest of random points."""
    generator = np.random.default_rng(number)
    points = (generator.random((30, 2)) * size).astype(np.float32)
    labels = generator.integers(0, classes, 30).astype(np.uint8)
    y, x = np.indices(size, np.float32)
    nearest = np.full(size, np.inf, np.float32)
    truth = np.zeros(size, np.uint8)
    for point, label in zip(points, labels, strict=True):
        distance = (y - point[0]) ** 2 + (x - point[1]) ** 2
        closer = distance < nearest
        nearest[closer], truth[closer] = distance[closer], label
    truth[: size[0] // 40] = VOID
    return truth


def disturbed(truth: np.ndarray, number: int, classes: int) -> np.ndarray:
    """A prediction: the truth, shifted by some pixels, with a few blocks of other classes."""
    generator = np.random.default_rng(1000 + number)
    found = np.roll(truth, generator.integers(-9, 10, 2), axis=(0, 1))
    for _ in range(12):
        y, x = (int(generator.integers(0, side - 60)) for side in truth.shape)
        found[y : y + 60, x : x + 60] = generator.integers(0, classes)
    return np.where(found == VOID, 0, found)


def segments_of(labels: np.ndarray) -> tuple[np.ndarray, list[dict]]:
    """Every connected region as a segment: ids, and their records."""
    ids, records = np.zeros(labels.shape, np.int32), []
    for label in np.unique(labels).tolist():
        if label == VOID:
            continue
        count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == label).view(np.uint8))
        for part in range(1, count):
            area = int(stats[part, cv2.CC_STAT_AREA])
            records.append(dict(id=len(records) + 1, category_id=label, iscrowd=0, area=area))
            ids[parts == part] = len(records)
    return ids, records


def samples_of(truths: Sequence[np.ndarray], classes: int) -> list[dict]:
    """What the metrics are given of each image."""
    samples = []
    for number, truth in enumerate(truths):
        found = disturbed(truth, number, classes)
        (true_ids, true), (found_ids, predicted) = segments_of(truth), segments_of(found)
        samples.append(
            dict(
                img_path=f"{number:04}.png",
                gt_sem_seg=dict(data=torch.from_numpy(truth.astype(np.int64))[None]),
                pred_sem_seg=dict(data=torch.from_numpy(found.astype(np.int64))[None]),
                gt_panoptic=dict(data=torch.from_numpy(true_ids)[None]),
                pred_panoptic=dict(data=torch.from_numpy(found_ids)[None]),
                segments_info=true,
                pred_segments=predicted,
            )
        )
    return samples


# ------------------------------------------------------------ references


def plain_panoptic(samples: Sequence[dict], classes: int) -> float:
    """PQ in percent by pairs of ids, in numpy and Python (Kirillov et al., 2019)."""
    counts: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for sample in samples:
        truth = sample["gt_panoptic"]["data"][0].numpy().astype(np.uint64)
        found = sample["pred_panoptic"]["data"][0].numpy().astype(np.uint64)
        true = {segment["id"]: segment for segment in sample["segments_info"]}
        predicted = {segment["id"]: dict(segment) for segment in sample["pred_segments"]}
        for number, area in zip(*np.unique(found, return_counts=True), strict=True):
            if int(number):
                predicted[int(number)]["area"] = int(area)
        pairs = truth * np.uint64(1 << 24) + found
        shared = {
            (int(pair) >> 24, int(pair) & 0xFFFFFF): int(number)
            for pair, number in zip(*np.unique(pairs, return_counts=True), strict=True)
        }
        hit_true, hit_found = set(), set()
        for (t, p), both in shared.items():
            if t not in true or p not in predicted:
                continue
            label = true[t]["category_id"]
            if label != predicted[p]["category_id"]:
                continue
            union = true[t]["area"] + predicted[p]["area"] - both - shared.get((0, p), 0)
            if both / union > 0.5:
                counts[label][0] += 1
                counts[label][3] += both / union
                hit_true.add(t)
                hit_found.add(p)
        for t, segment in true.items():
            counts[segment["category_id"]][2] += t not in hit_true
        for p, segment in predicted.items():
            if p not in hit_found and shared.get((0, p), 0) / segment["area"] <= 0.5:
                counts[segment["category_id"]][1] += 1
    scores = [c[3] / (c[0] + c[1] / 2 + c[2] / 2) for c in counts.values() if any(c)]
    return 100 * float(np.mean(scores))


def plain_boundary(samples: Sequence[dict], classes: int) -> float:
    """Boundary mIoU in percent, class by class with OpenCV's erosion (Cheng et al., 2021)."""
    shared, union = np.zeros(classes), np.zeros(classes)
    kernel = np.ones((3, 3), np.uint8)

    def outline(mask: np.ndarray, width: int) -> np.ndarray:
        padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        return mask - cv2.erode(padded, kernel, iterations=width)[1:-1, 1:-1]

    for sample in samples:
        truth = sample["gt_sem_seg"]["data"][0].numpy()
        found = np.where(truth == VOID, -1, sample["pred_sem_seg"]["data"][0].numpy())
        width = boundary_width(truth.shape, 0.02)
        for label in np.union1d(truth[truth != VOID], found[found >= 0]).tolist():
            a = outline((found == label).astype(np.uint8), width).astype(bool)
            b = outline((truth == label).astype(np.uint8), width).astype(bool)
            shared[label] += np.count_nonzero(a & b)
            union[label] += np.count_nonzero(a | b)
    return 100 * float(np.mean(shared[union > 0] / union[union > 0]))


class Scorer:
    """A metric of MMEngine's kind: `score` gives its result, a call only counts the images."""

    def __init__(self, metric: BaseMetric, classes: int, name: str) -> None:
        metric.dataset_meta = dict(classes=tuple(map(str, range(classes))), ignore_index=VOID)
        self.metric, self.name = metric, name

    def __call__(self, samples: Sequence[dict]) -> None:
        """Count all images, and forget what was counted before."""
        self.metric.results.clear()
        for sample in samples:  # as a run does it: one image a batch
            self.metric.process({}, [sample])

    def score(self, samples: Sequence[dict]) -> float:
        """Percent over all images."""
        self(samples)
        return self.metric.evaluate(len(samples))[self.name]


# ------------------------------------------------------------ the run


def cpu_times(
    ours: Callable, theirs: Callable, samples: Sequence[dict], repeats: int
) -> tuple[float, float]:
    """Median CPU seconds for each image; the two take turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, times in zip((ours, theirs), taken, strict=True):
            start = time.process_time()
            function(samples)
            times.append((time.process_time() - start) / len(samples))
    return statistics.median(taken[0]), statistics.median(taken[1])


def main(argv: list[str] | None = None) -> list[tuple[str, float]]:
    """Measure and print; gives the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--masks", type=Path, help="folder of ADE20K's masks (default: drawn ones)")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--classes", type=int, default=150)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 683), metavar=("H", "W"))
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    MMLogger.get_instance("metrics", logger_name="metrics", log_level="ERROR")
    classes, size = arguments.classes, tuple(arguments.size)
    if arguments.masks:
        paths = sorted(arguments.masks.glob("*.png"))
        if not paths:
            parser.error(f"--masks: there are no PNG files in {arguments.masks}")
        truths = [read_index_mask(path).astype(np.uint8) - 1 for path in paths][: arguments.images]
        truths = [cv2.resize(t, size[::-1], interpolation=cv2.INTER_NEAREST) for t in truths]
    else:
        truths = [drawn_truth(number, size, classes) for number in range(arguments.images)]
    samples = samples_of(truths, classes)
    mmseg = Scorer(IoUMetric(ignore_index=VOID, iou_metrics=["mIoU"]), classes, "mIoU")
    panoptic, boundary = (
        partial(plain_panoptic, classes=classes),
        partial(plain_boundary, classes=classes),
    )
    rows = (
        ("mIoU", SegmentationScores(table=False), "mIoU", mmseg, mmseg.score, "mmseg"),
        ("PQ", PanopticQuality(table=False), "PQ", panoptic, panoptic, "numpy"),
        (
            "Boundary mIoU",
            BoundaryScores(table=False),
            "boundary_mIoU",
            boundary,
            boundary,
            "OpenCV",
        ),
    )
    source = arguments.masks or "drawn label maps"
    print(f"{len(samples)} images of {size[0]} x {size[1]}, {classes} classes, {source}")
    print(f"{'':14} {'score':>7} {'ours':>10} {'reference':>12} {'ratio':>7}   (CPU ms an image)")
    ratios = []
    for title, metric, name, reference, score_of, of in rows:
        ours = Scorer(metric, classes, name)
        score, expected = ours.score(samples), score_of(samples)  # compiles, too
        if abs(score - expected) > 0.01:  # mmseg rounds to two digits
            raise SystemExit(f"{title}: ours is {score:.4f} but the reference says {expected:.4f}")
        mine, other = cpu_times(ours, reference, samples, arguments.repeats)
        ratios.append((title, other / mine))
        print(
            f"{title:14} {score:7.2f} {1000 * mine:10.3f} {1000 * other:12.3f} "
            f"{other / mine:7.1f}   {of}"
        )
    return ratios


if __name__ == "__main__":
    main()
