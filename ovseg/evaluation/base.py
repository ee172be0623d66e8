"""Metrics that keep one small record an image, so that a run can be interrupted and taken up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric

from ovseg.evaluation.records import RecordStore, image_key
from ovseg.utils.together import together

__all__ = ["ImageMetric"]


class ImageMetric(BaseMetric):
    """A metric over whole images: `score_image` for each, `summarize` over all.

    Records are gathered by the key of their image: images that a sampler repeats to fill up a batch
    count once, in whatever order the processes saw them, and records of an earlier, interrupted run
    (see `attach`) join those of this one.
    """

    default_prefix = ""  # names of results stand for themselves: "mIoU"
    #: What a model must be able to give so that it can be scored.
    task: ClassVar[str] = "semantic"

    def __init__(self, collect_device: str = "cpu", prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self._store: RecordStore | None = None

    @property
    def name(self) -> str:
        """What the records of this metric are called on disk."""
        return f"{self.prefix}/{type(self).__name__}" if self.prefix else type(self).__name__

    def attach(self, store: RecordStore | None) -> None:
        """Hand every record to a store as well, and start from those it holds."""
        self._store = store

    @abstractmethod
    def score_image(self, sample: dict, key: str) -> dict:
        """Record of one image: plain numbers and lists, no larger than it must be."""

    @abstractmethod
    def summarize(self, records: list[dict]) -> dict[str, float]:
        """Scores over the records of all images, in the order of their keys."""

    def process(self, data_batch: dict | None, data_samples: Sequence[dict]) -> None:
        """Score each image of a batch."""
        root = (self.dataset_meta or {}).get("image_root", "")
        for sample in data_samples:
            key = image_key(sample.get("img_path"), root)
            record = self.score_image(sample, key)
            self.results.append((key, record))
            if self._store is not None:
                self._store.add(self.name, key, record)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Summarize (key, record) pairs; of pairs with the same key one counts."""
        records = dict(results)
        return self.summarize([records[key] for key in sorted(records)])

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the records of all processes and summarize them.

        MMEngine's own gathering cuts the list at ``size``, which is exact for one kind of sampler
        only; here keys tell which images are double.
        """
        gathered = [pair for part in all_gather_object(self.results) for pair in part]
        scores: list = [None]
        with together():
            if is_main_process():
                if self._store is not None:
                    gathered += self._store.finished_records(self.name).items()
                prefix = f"{self.prefix}/" if self.prefix else ""
                computed = self.compute_metrics(gathered)
                scores = [{f"{prefix}{name}": value for name, value in computed.items()}]
        broadcast_object_list(scores)
        self.results.clear()
        return scores[0]
