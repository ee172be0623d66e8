"""Panoptic predictions that are partly right: ground truth, disturbed in many ways."""

from __future__ import annotations

import numpy as np


def perturb(ids, segments, categories, seed):
    """A prediction made of ground truth.

    Segments are dropped, renamed, shifted, cut in two, merged, and grown over void and crowds.

    Args:
        ids: (H, W) ground-truth segment ids.
        segments: their records, with ``category_id``.
        categories: category ids to take wrong ones from.
        seed: chooses what happens.

    Returns:
        (H, W) int32 segment ids, and records with id, category_id, score.
    """
    generator = np.random.default_rng(seed)
    found = np.zeros(ids.shape, np.int32)
    kinds = []

    def put(region, category):
        if region.any():
            kinds.append(category)
            found[region] = len(kinds)

    things = {}
    for segment in segments:
        region = ids == segment["id"]
        category = segment["category_id"]
        what = generator.choice(
            ["keep", "drop", "rename", "shift", "cut", "grow", "merge"],
            p=[0.3, 0.1, 0.1, 0.2, 0.1, 0.15, 0.05],
        )
        if what == "drop":
            continue
        if what == "rename":
            category = int(generator.choice(categories))
        if what == "shift":
            region = np.roll(region, generator.integers(-25, 26, 2), axis=(0, 1))
        if what == "grow":
            region = region | ((ids == 0) & (generator.random(ids.shape) < 0.7))
        if what == "cut":
            column = int(np.median(np.nonzero(region)[1])) if region.any() else 0
            side = np.arange(ids.shape[1]) < column
            put(region & side, category)
            region = region & ~side
        if what == "merge" and category in things:
            region = region | things[category]
        things[category] = region
        put(region, category)
    # what is left unsaid: something on void alone
    corner = np.zeros(ids.shape, bool)
    corner[: ids.shape[0] // 8, : ids.shape[1] // 8] = True
    put(corner, int(generator.choice(categories)))
    present = set(np.unique(found).tolist())
    records = [
        dict(id=i, category_id=category, score=round(float(generator.random()), 3))
        for i, category in enumerate(kinds, start=1)
        if i in present
    ]
    return found, records
