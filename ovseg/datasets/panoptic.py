"""Panoptic ground truth: which segment each pixel belongs to, and what the segments are.

Three kinds of files say it: PNGs of segment ids with a JSON file (COCO's layout), PNGs of class and
instance numbers in one value (Cityscapes), and PNGs of classes alone, whose connected regions are
the instances. Each has a reader here; all give the same.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ovseg.datasets.entries import IDENTIFIER, NUMBER, check_entries
from ovseg.datasets.labels import LabelReader, read_index_mask, read_panoptic_ids
from ovseg.errors import DatasetError

__all__ = [
    "InstanceIdReader",
    "RegionReader",
    "SegmentReader",
    "groups_of",
    "read_panoptic_json",
    "segment_entries",
]

Truth = tuple[np.ndarray, list[dict]]
"""(H, W) int32 segment ids, 0 for void; and a record for each segment: ``id``, ``category_id`` (the
class index), ``isthing``, ``iscrowd``, ``area`` in pixels."""


def groups_of(things: Collection[int], num_classes: int) -> dict[str, list[int]]:
    """What the metainfo of a dataset says of things and stuff: class indices of each."""
    return dict(thing=sorted(things), stuff=[i for i in range(num_classes) if i not in set(things)])


def read_panoptic_json(path: str | Path) -> dict:
    """Content of an annotation file in COCO's panoptic layout, with all that is read of it later.

    Raises:
        DatasetError: It is missing, cannot be read, is something else, or an entry is not whole.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["annotations"], content["categories"], content["images"]
    except FileNotFoundError as error:
        raise DatasetError(
            f"Annotation file {path} does not exist; check data_root of the dataset."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"Annotation file {path} is not a COCO panoptic file ({error!r}); fetch it again."
        ) from error
    check_entries(content["categories"], f"categories of {path}", dict(id=(int,)))
    fields = dict(id=IDENTIFIER, file_name=(str,))
    check_entries(content["images"], f"images of {path}", fields)
    fields = dict(image_id=IDENTIFIER, file_name=(str,), segments_info=(list,))
    check_entries(content["annotations"], f"annotations of {path}", fields)
    fields = dict(id=(int,), category_id=(int,))
    optional = dict(iscrowd=(int, bool), area=(*NUMBER, type(None)))
    for entry in content["annotations"]:
        place = f"segments_info of {entry['file_name']} in {path}"
        check_entries(entry["segments_info"], place, fields, optional)
    return content


def segment_entries(annotation: Mapping) -> list[tuple[int, int, int, int | None]]:
    """(segment id, category id, crowd, area or None) of each segment of an image's annotation."""
    return [
        (s["id"], s["category_id"], int(s.get("iscrowd", 0)), s.get("area"))
        for s in annotation["segments_info"]
    ]


@dataclass(frozen=True)
class SegmentReader:
    """Reads PNGs of segment ids (R + 256 G + 256^2 B) whose segments are listed elsewhere.

    Attributes:
        class_of: Category id to class index.
        things: (C,) bool, whether each class is a thing.
    """

    class_of: Mapping[int, int] = field(repr=False)
    things: Sequence[bool] = field(repr=False)

    def read(self, path: str | Path, segments: Sequence[tuple] | None = None) -> Truth:
        """Read one mask.

        Args:
            path: The PNG.
            segments: As of `segment_entries`. A published area is kept, also where other segments
                lie on top of a part of the segment (or all of it): scores count as the publishers
                meant. Areas that are not given are counted.

        Raises:
            DatasetError: The file cannot be read, holds an id that is not listed, or a segment is
                listed twice or of an unknown category.
        """
        ids = read_panoptic_ids(path).astype(np.int32)
        areas = _areas(ids)
        known: dict[int, dict] = {}
        for number, category, crowd, area in segments or ():
            if category not in self.class_of:
                raise DatasetError(
                    f"Segment {number} of {path} is of category {category}, which is none of the "
                    f"{len(self.class_of)} categories of the annotation file; the two belong to "
                    "different releases."
                )
            if number in known or number <= 0:
                raise DatasetError(
                    f"The annotation of {path} lists segment {number} "
                    f"{'twice' if number in known else 'though 0 means no segment'}; correct it."
                )
            area = areas.get(number, 0) if area is None else area
            known[number] = _record(number, self.class_of[category], self.things, crowd, area)
        foreign = [number for number in areas if number and number not in known]
        if foreign:
            raise DatasetError(
                f"Mask {path} holds segment {foreign[0]}, which its annotation does not list "
                f"({len(foreign)} such segments); the PNGs and the JSON file belong to different "
                "releases."
            )
        return ids, list(known.values())


@dataclass(frozen=True)
class InstanceIdReader:
    """Reads single-channel PNGs whose values hold class and instance: ``1000 * class + number``.

    Number 0 stands for the whole class: stuff, or things that were not told apart (a crowd).

    Attributes:
        class_of: Class number in the file to class index.
        things: (C,) bool, whether each class is a thing. Stuff is one segment a class.
        void: Values without a class.
        void_classes: Class numbers that are void; others outside ``class_of`` are errors.
        bare_below: Values below this are class numbers without an instance, as 26 of Cityscapes'
            ``instanceIds`` (beside 26000, its first instance).
    """

    class_of: Mapping[int, int] = field(repr=False)
    things: Sequence[bool] = field(repr=False)
    void: frozenset[int] = frozenset()
    void_classes: frozenset[int] = frozenset()
    bare_below: int = 0

    def read(self, path: str | Path, segments: object = None) -> Truth:
        """Read one mask; ``segments`` are not needed.

        Raises:
            DatasetError: The file cannot be read, or holds a class that is none.
        """
        raw = read_index_mask(path)
        if raw.min(initial=0) < 0:
            raise DatasetError(
                f"Mask {path} holds the value {raw.min()}, which is no class and instance; values "
                "are 1000 * class + instance."
            )
        count = np.bincount(raw.ravel())
        table = np.zeros(len(count), np.int32)
        records: dict[tuple[int, int], dict] = {}
        for value in np.flatnonzero(count).tolist():
            if value in self.void:
                continue
            bare = value < self.bare_below
            number, instance = (value, -1) if bare else divmod(value, 1000)
            label = self.class_of.get(number)
            if label is None:
                if number in self.void_classes:
                    continue
                raise DatasetError(
                    f"Mask {path} holds the value {value}, that is class {number}, which is none "
                    f"of the {len(self.things)} classes; values are 1000 * class + instance."
                )
            alone = bare or (instance == 0 and not self.bare_below)
            thing = bool(self.things[label])
            key = (label, instance if thing and not alone else -1)
            if key not in records:
                records[key] = _record(len(records) + 1, label, self.things, thing and alone, 0)
            records[key]["area"] += int(count[value])
            table[value] = records[key]["id"]
        return table[raw], list(records.values())


@dataclass(frozen=True)
class RegionReader:
    """Reads masks of classes: each connected region of a thing is one, stuff is one a class.

    Attributes:
        labels: Reads the masks.
        things: (C,) bool, whether each class is a thing.
    """

    labels: LabelReader
    things: Sequence[bool] = field(repr=False)

    def read(self, path: str | Path, segments: object = None) -> Truth:
        """Read one mask; ``segments`` are not needed. Pixels touching at a corner are connected.

        Raises:
            DatasetError: As `LabelReader.read`.
        """
        mask = self.labels.read(path)
        ids = np.zeros(mask.shape, np.int32)
        records: list[dict] = []
        for label in np.unique(mask).tolist():
            if not 0 <= label < self.labels.num_classes or label == self.labels.ignore_index:
                continue
            region = (mask == label).astype(np.uint8)
            if self.things[label]:
                count, parts = cv2.connectedComponents(region, connectivity=8)
            else:
                count, parts = 2, region
            ids += np.where(parts > 0, parts + len(records), 0).astype(np.int32)
            for area in np.bincount(parts.ravel(), minlength=count)[1:].tolist():
                records.append(_record(len(records) + 1, label, self.things, False, area))
        return ids, records


def _record(number: int, label: int, things: Sequence[bool], crowd: bool, area: int) -> dict:
    return dict(
        id=int(number),
        category_id=int(label),
        isthing=bool(things[label]),
        iscrowd=int(crowd),
        area=int(area),
    )


def _areas(ids: np.ndarray) -> dict[int, int]:
    """Pixels of each id, by its runs: an order of magnitude faster than sorting the pixels."""
    flat = ids.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(starts, append=flat.size)
    present, inverse = np.unique(flat[starts], return_inverse=True)
    areas = np.bincount(inverse, weights=lengths).astype(np.int64)
    return dict(zip(present.tolist(), areas.tolist(), strict=True))
