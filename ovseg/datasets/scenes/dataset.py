"""The procedural scenes as a dataset of configs; nothing is read from disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ovseg.registry import DATASETS, TRANSFORMS  # first: it makes mmseg importable

# isort: split
from mmcv.transforms import BaseTransform
from mmseg.datasets import BaseSegDataset

from ovseg.datasets.scenes.caption import caption
from ovseg.datasets.scenes.classes import CLASSES, PALETTE, STUFF, VOID
from ovseg.datasets.scenes.held_out import (
    COMBINATIONS,
    HELD_OUT,
    UNSEEN_CLASSES,
    unseen_palette,
)
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS, split_name, split_number
from ovseg.errors import DatasetError

__all__ = ["RenderScene", "ScenesDataset", "UnseenScenesDataset"]


@DATASETS.register_module()
class ScenesDataset(BaseSegDataset):
    """Scenes number 0 to ``length - 1`` of a split.

    A sample says which scene it is (``scene``: the arguments of `render`) and what its image is
    called (``img_path``: ``scenes-val/000123``; no such file exists); `RenderScene` draws it.

    Args:
        split: a name of `SPLITS` or the first number of the seeds. ``"val"`` shares no scene with
            ``"train"``.
        length: number of scenes.
        size: side, or (H, W), in pixels.
        zoom: how large things and textures are, see `render`.
        num_things: least and greatest number of things of a scene.
        exclude: (color, pattern, thing) triples that are never drawn; by default those held out
            for `UnseenScenesDataset`.
        pipeline: transforms; the first is usually `RenderScene`.
        test_mode: as in mmseg.

    Raises:
        DatasetError: if the arguments describe no scenes.
    """

    METAINFO: ClassVar[dict] = dict(
        classes=CLASSES,
        palette=[list(color) for color in PALETTE],
        vocabulary="scenes",
        ignore_index=VOID,
        image_root="",
        groups=dict(
            thing=list(range(len(STUFF), len(CLASSES))),
            stuff=list(range(len(STUFF))),
        ),
    )

    #: Which things there are, see `render`.
    WORLD: ClassVar[str] = "seen"

    def __init__(
        self,
        split: str | int = "val",
        length: int = 500,
        size: int | Sequence[int] = 256,
        zoom: float = 1.0,
        num_things: Sequence[int] = (1, 4),
        exclude: Sequence[Sequence[str]] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = True,
    ) -> None:
        self.split, self.length = split_number(split), length
        if (self.split == SPLITS["unseen"]) != (self.WORLD == "unseen"):
            raise DatasetError(
                f"{type(self).__name__}: the split 'unseen' is that of UnseenScenesDataset, and "
                "the only one it has"
            )
        self.prefix = f"scenes-{split_name(split)}"
        self.scene: dict[str, Any] = dict(
            size=size if isinstance(size, int) else tuple(size),
            zoom=zoom,
            num_things=tuple(num_things),
            exclude=HELD_OUT if exclude is None else frozenset(map(tuple, exclude)),
            world=self.WORLD,
        )
        _check(length, **self.scene)
        super().__init__(
            ignore_index=VOID,
            # Built here, so that a dataset can be made outside a runner as well.
            pipeline=[TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline],
            test_mode=test_mode,
        )

    def load_data_list(self) -> list[dict]:
        """One small dict per scene."""
        return [
            dict(
                img_path=f"{self.prefix}/{i:06d}",
                scene=dict(self.scene, seed=(self.split, i)),
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            for i in range(self.length)
        ]


@DATASETS.register_module()
class UnseenScenesDataset(ScenesDataset):
    """Scenes of what no picture, caption or mask of any training run of the nano models showed.

    Its classes are the stuff as ever, known things in combinations of color and pattern that were
    held out (``striped red cat``), and things that are new altogether (``rocket``); scores are
    given for each group.

    Args:
        length, size, zoom, num_things, pipeline, test_mode: as in `ScenesDataset`.
    """

    METAINFO: ClassVar[dict] = dict(
        ScenesDataset.METAINFO,
        classes=UNSEEN_CLASSES,
        palette=[list(color) for color in unseen_palette()],
        vocabulary="scenes-unseen",
        groups=dict(
            stuff=list(range(len(STUFF))),
            combination=[len(STUFF) + i for i in range(len(COMBINATIONS))],
            new_thing=list(range(len(STUFF) + len(COMBINATIONS), len(UNSEEN_CLASSES))),
        ),
    )
    WORLD: ClassVar[str] = "unseen"

    def __init__(self, split: str | int = "unseen", **options: Any) -> None:
        super().__init__(split=split, **options)


def _check(length, size, zoom, num_things, exclude, world) -> None:
    sides = (size, size) if isinstance(size, int) else size
    least, most = num_things if len(num_things) == 2 else (0, -1)
    problem = None
    if length < 1:
        problem = f"length must be at least 1, got {length}"
    elif len(sides) != 2 or min(sides) < 8:
        problem = f"size must be a side or (H, W) of at least 8 pixels, got {size}"
    elif not zoom > 0:
        problem = f"zoom must be positive, got {zoom}"
    elif not 0 <= least <= most:
        problem = f"num_things must be (least, greatest) with 0 <= least, got {num_things}"
    elif any(len(triple) != 3 for triple in exclude):
        problem = f"exclude must hold (color, pattern, thing) triples, got {sorted(exclude)}"
    if problem:
        raise DatasetError(f"ScenesDataset: {problem}")


@TRANSFORMS.register_module()
class RenderScene(BaseTransform):
    """Draws the scene of a sample: the place of LoadImage and LoadMask in a pipeline.

    Needs ``scene``. Adds ``img`` (H, W, 3) uint8 RGB, ``gt_seg_map`` (H, W) uint8 class indices,
    ``img_shape``, ``ori_shape``, and ``caption`` (str, the same every time).

    Args:
        instances: also add ``gt_instance_map``, (H, W) int32, 0 on stuff.
        panoptic: also add ``gt_panoptic``, (H, W) int32 segment ids, and ``segments_info``, a list
            of records of id, category_id, isthing, and area in pixels as drawn.
    """

    def __init__(self, instances: bool = False, panoptic: bool = False) -> None:
        self.instances, self.panoptic = instances, panoptic

    def transform(self, results: dict) -> dict:
        """Draw the scene; every map becomes one of the ``seg_fields``."""
        arguments = dict(results["scene"])
        seed = arguments.pop("seed")
        scene = render(seed, **arguments)
        maps = {"gt_seg_map": scene.semantic}
        if self.instances:
            maps["gt_instance_map"] = scene.instances
        if self.panoptic:
            maps["gt_panoptic"], results["segments_info"] = scene.panoptic()
        shape = scene.semantic.shape
        results.update(
            maps, img=scene.image, img_shape=shape, ori_shape=shape, caption=caption(scene, seed)
        )
        results["seg_fields"] = [*results.get("seg_fields", ()), *maps]
        results["reduce_zero_label"] = False
        return results

    def __repr__(self) -> str:
        return f"RenderScene(instances={self.instances}, panoptic={self.panoptic})"
