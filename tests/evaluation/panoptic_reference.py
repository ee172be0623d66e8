"""Panoptic quality by its published definition, in plain Python on boolean masks.

Written from Kirillov et al., "Panoptic Segmentation" (CVPR 2019, section 4) and the rules of COCO's
public evaluation (panopticapi: ``iscrowd``, void, and areas from the annotation file), to compare
the package's own code with. It is slow and shares nothing with it.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np


class Tally:
    """Counts of one category."""

    def __init__(self):
        self.tp = self.fp = self.fn = 0
        self.iou = 0.0


def pq_compute(images, categories):
    """Scores over images, as fractions.

    Args:
        images: (ground-truth ids, annotation, predicted ids, annotation) of each; ids are (H, W)
            and annotations COCO's ``segments_info``.
        categories: COCO's records of categories.
    """
    tallies = defaultdict(Tally)
    for truth, true_segments, prediction, predicted_segments in images:
        _score(tallies, truth, true_segments, prediction, predicted_segments)
    groups = {
        "All": categories,
        "Things": [c for c in categories if c["isthing"] == 1],
        "Stuff": [c for c in categories if c["isthing"] == 0],
    }
    return {name: _average(tallies, members) for name, members in groups.items()}, tallies


def _score(tallies, truth, true_segments, prediction, predicted_segments):
    void = truth == 0
    regions = {s["id"]: prediction == s["id"] for s in predicted_segments}
    crowds = {}
    taken = set()
    for true in true_segments:
        category = true["category_id"]
        if true["iscrowd"]:
            crowds[category] = truth == true["id"]
            continue
        region = truth == true["id"]
        hit = False
        for predicted in predicted_segments:
            if predicted["category_id"] != category:
                continue
            other = regions[predicted["id"]]
            intersection = np.count_nonzero(region & other)
            if not intersection:
                continue
            union = true["area"] + np.count_nonzero(other) - intersection
            union -= np.count_nonzero(other & void)
            if intersection / union > 0.5:
                tallies[category].tp += 1
                tallies[category].iou += intersection / union
                taken.add(predicted["id"])
                hit = True
        if not hit:
            tallies[category].fn += 1
    for predicted in predicted_segments:
        if predicted["id"] in taken:
            continue
        other, category = regions[predicted["id"]], predicted["category_id"]
        excused = np.count_nonzero(other & void)
        if category in crowds:
            excused += np.count_nonzero(other & crowds[category])
        if excused / np.count_nonzero(other) > 0.5:
            continue
        tallies[category].fp += 1


def _average(tallies, categories):
    pq = sq = rq = count = 0
    for category in categories:
        tally = tallies[category["id"]]
        weight = tally.tp + 0.5 * tally.fp + 0.5 * tally.fn
        if weight == 0:
            continue
        count += 1
        pq += tally.iou / weight
        sq += tally.iou / tally.tp if tally.tp else 0
        rq += tally.tp / weight
    if not count:
        return dict(pq=float("nan"), sq=float("nan"), rq=float("nan"), n=0)
    return dict(pq=pq / count, sq=sq / count, rq=rq / count, n=count)
