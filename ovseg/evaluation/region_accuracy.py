"""How often the right class is among the first for given boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log
from prettytable import PrettyTable

from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation.base import ImageMetric
from ovseg.registry import METRICS

__all__ = ["RegionAccuracy", "mean_accuracy"]


def mean_accuracy(labels: np.ndarray, ranks: np.ndarray, first: int) -> float:
    """Mean over the classes of the share of their regions that are named right, in percent.

    Args:
        labels: (n,) class of each region.
        ranks: (n,) at which place the right class comes, from 0.
        first: How many places count as right.

    Returns:
        NaN where there is no region.
    """
    if not len(labels):
        return float("nan")
    classes, owners = np.unique(labels, return_inverse=True)
    right = np.bincount(owners, weights=ranks < first, minlength=len(classes))
    return float(100 * (right / np.bincount(owners)).mean())


@METRICS.register_module()
class RegionAccuracy(ImageMetric):
    """Mean accuracy of regions, of things and of stuff, for each way they were read.

    Reads ``pred_regions`` of `RegionClassifier`: the published table is ``boxes_thing``,
    ``masks_thing`` and ``masks_stuff``, at the first place and among the first five. Keeps the
    class and the rank of each region.

    Args:
        first: How many places count as right; each gives a score.
        prefix: Put in front of the names of the results.

    Raises:
        ConfigError: ``first`` holds a number below 1.
    """

    WAYS = ("boxes", "masks", "crops")

    def __init__(
        self,
        first: Sequence[int] = (1, 5),
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not first or min(first) < 1:
            raise ConfigError(f"first must hold numbers from 1 on, got {list(first)}.")
        self.first = tuple(first)
        self.num_images = 0
        self.per_class: list[dict] = []

    def score_image(self, sample: dict, key: str) -> dict:
        """Classes of the regions, and the ranks of them.

        Raises:
            DatasetError: There are no regions, or one whose segment is not in the ground truth.
        """
        regions = sample.get("pred_regions")
        if regions is None:
            raise DatasetError(
                f"Image {key} came without pred_regions; RegionAccuracy scores RegionClassifier."
            )
        segments = {int(s["id"]): s for s in sample.get("segments_info") or ()}
        numbers = [int(number) for number in regions["ids"]]
        stray = [number for number in numbers if number not in segments]
        if stray:
            raise DatasetError(f"Region {stray[0]} of {key} is no segment of its ground truth.")
        record = {
            "labels": [int(segments[n]["category_id"]) for n in numbers],
            "things": [int(bool(segments[n]["isthing"])) for n in numbers],
        }
        for way in self.WAYS:
            if way in regions:
                scores = np.asarray(regions[way], np.float64)
                own = np.take_along_axis(scores, np.array(record["labels"], int)[:, None], 1)
                record[way] = (scores > own).sum(1).tolist()
        return record

    def summarize(self, records: list[dict]) -> dict[str, float]:
        """Scores over all regions; accuracies of classes are left in ``per_class``."""
        self.num_images = len(records)

        def joined(name: str) -> np.ndarray:
            return np.array([value for r in records for value in r[name]], np.int64)

        labels, things = joined("labels"), joined("things") > 0
        scores: dict[str, float] = {}
        names = (self.dataset_meta or {}).get("classes", ())
        self.per_class = [
            dict(name=name, regions=int((labels == i).sum())) for i, name in enumerate(names)
        ]
        for way in self.WAYS:
            if not records or any(way not in r for r in records):
                continue
            ranks = joined(way)
            for kind, of_kind in (("thing", things), ("stuff", ~things)):
                for first in self.first:
                    value = mean_accuracy(labels[of_kind], ranks[of_kind], first)
                    scores[f"{way}_{kind}_top{first}"] = value
            for i, row in enumerate(self.per_class):
                row[way] = _or_none(mean_accuracy(labels[labels == i], ranks[labels == i], 1))
        print_log(f"\n{self._table(scores)}\n({len(labels)} regions)", logger="current")
        return scores

    def _table(self, scores: dict[str, float]) -> str:
        table = PrettyTable(["regions", *(f"top {first}" for first in self.first)])
        table.align = "r"
        table.align["regions"] = "l"
        kinds = dict.fromkeys(name.rpartition("_top")[0] for name in scores)
        for kind in kinds:
            row = (f"{scores[f'{kind}_top{first}']:.2f}" for first in self.first)
            table.add_row([kind.replace("_", " of "), *row])
        return table.get_string()


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
