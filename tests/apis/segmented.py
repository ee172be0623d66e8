"""A scene of two cats before a sky, as both kinds of results made of segments."""

from __future__ import annotations

import numpy as np

from ovseg.apis import InstanceResult, PanopticResult

CLASSES = ("cat", "sky", "dog")
IDS = np.zeros((40, 60), np.int64)
IDS[:20] = 7
IDS[22:38, 5:25] = 2
IDS[22:38, 25:50] = 9  # touches the other cat
SEGMENTS = [
    dict(id=2, category_id=0, isthing=True, score=0.9, area=1),
    dict(id=9, category_id=0, isthing=True, score=0.5),
    dict(id=7, category_id=1, isthing=False, score=0.8),
]
IMAGE = np.full((40, 60, 3), 90, np.uint8)


def panoptic(**changes):
    made = dict(
        ids=IDS, segments=SEGMENTS, classes=CLASSES, image=IMAGE, name="a/b.jpg", info={"x": 1}
    )
    return PanopticResult(**{**made, **changes})


def instances(**changes):
    masks = np.stack([IDS == 9, IDS == 2, (IDS == 2) | (IDS == 9)])
    made = dict(
        masks=masks,
        labels=[0, 0, 2],
        scores=[0.5, 0.9, 0.1],
        classes=CLASSES,
        image=IMAGE,
        name="a/b.jpg",
        info={"x": 1},
    )
    return InstanceResult(**{**made, **changes})
