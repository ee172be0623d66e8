"""Panoptic predictions on disk, in the layout of COCO's results: PNGs of ids and a JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from mmengine.dist import all_gather_object, is_main_process

from ovseg.errors import ConfigError
from ovseg.evaluation.png import write_png
from ovseg.evaluation.records import RecordStore, write_json
from ovseg.utils.segment_ids import encode_segment_ids
from ovseg.utils.together import together

__all__ = ["PanopticFiles"]


class PanopticFiles:
    """Writes a PNG for each image, and at the end one JSON file for all.

    ``<folder>/<name>.png`` holds the ids; ``<folder>.json`` lists for each image ``image_id``,
    ``file_name`` and ``segments_info`` with ``id``, ``category_id`` and, where known, ``score`` and
    ``area``: what panopticapi's ``pq_compute`` takes. The lists of images that an earlier run
    finished are taken from the records of a store.

    Args:
        folder: Where the PNGs go.
        names: File name of each image by its key.
        category_ids: The dataset's own number of each class; by default its index.
        store: Keeps the list of each image, so that a run can be resumed.
    """

    RECORD = "SavePredictions/panoptic"

    def __init__(
        self,
        folder: str | Path,
        names: Mapping[str, str],
        category_ids: Sequence[int] | None = None,
        store: RecordStore | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.names = names
        self.category_ids = category_ids
        self.store = store
        self._written: dict[str, dict] = {}

    @property
    def annotation_file(self) -> Path:
        """The JSON file, beside the folder and of its name."""
        return self.folder.with_name(f"{self.folder.name}.json")

    def save(self, sample, key: str) -> None:
        """Write the PNG of an image and remember its segments.

        Raises:
            ConfigError: The model gave no segments.
            SaveError: The PNG cannot be written.
        """
        if "pred_panoptic" not in sample:
            raise ConfigError(
                f"The model gave no segments for {key}, so that there are none to save; take a "
                "model for panoptic segmentation, or save label maps."
            )
        name = self.names.get(key, f"{key}.png")
        ids = sample.pred_panoptic.data.squeeze(0).cpu().numpy()
        write_png(self.folder / name, encode_segment_ids(ids))
        image_id = getattr(sample, "image_id", None)
        record = dict(
            image_id=str(PurePosixPath(key).with_suffix("")) if image_id is None else image_id,
            file_name=name,
            segments_info=[self._entry(segment) for segment in sample.pred_segments],
        )
        self._written[key] = record
        if self.store is not None:
            self.store.add(self.RECORD, key, record)

    def _entry(self, segment: dict) -> dict:
        label = int(segment["category_id"])
        category = label if self.category_ids is None else int(self.category_ids[label])
        entry = dict(id=int(segment["id"]), category_id=category)
        if segment.get("score") is not None:
            entry["score"] = float(segment["score"])
        if segment.get("area") is not None:
            entry["area"] = int(segment["area"])
        return entry

    def write_annotations(self) -> None:
        """Write the JSON file of all images, of all processes and of earlier runs.

        Raises:
            SaveError: It cannot be written; in the other processes PeerError.
        """
        gathered = all_gather_object(self._written)
        with together():
            if is_main_process():
                everything = dict(self.store.finished_records(self.RECORD)) if self.store else {}
                for part in gathered:
                    everything.update(part)
                annotations = [everything[key] for key in sorted(everything)]
                write_json(self.annotation_file, dict(annotations=annotations), indent=None)
