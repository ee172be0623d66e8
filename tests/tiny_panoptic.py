"""A model for tests of segments: it tells classes by brightness, things by connected regions."""

from __future__ import annotations

import os
import signal

import cv2
import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from ovseg.registry import MODELS
from ovseg.text import Vocabulary


@MODELS.register_module()
class BrightnessPanoptic(BaseModel):
    """Class k where red is around 80 k; brighter than all classes is nothing. Nothing is trained.

    Args:
        vocabulary: Anything `Vocabulary.load` takes.
    """

    seen = 0  # images of all instances since a test set it to 0
    fail_at = None  # after so many images it is interrupted
    kill_at = None  # after so many images its process is killed
    asked = ()  # the tasks of the last call

    def __init__(self, vocabulary=None) -> None:
        super().__init__()
        self.vocabulary = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)
        self.step = torch.nn.Parameter(torch.tensor([80.0]), requires_grad=False)

    def set_vocabulary(self, classes, background=None) -> Vocabulary:
        self.vocabulary = Vocabulary.load(classes)
        if background is not None:
            self.vocabulary = self.vocabulary.with_background(background)
        return self.vocabulary

    def require_vocabulary(self) -> Vocabulary:
        return self.vocabulary

    def fingerprints(self) -> dict[str, str]:
        return {"eyes": "none"}

    def forward(self, inputs, data_samples=None, mode="predict"):
        return self.predict(inputs, data_samples)

    def predict(
        self,
        inputs,
        data_samples=None,
        with_scores=False,
        tasks=("semantic", "panoptic", "instance"),
    ):
        BrightnessPanoptic.asked = tuple(tasks)
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
        for image, sample in zip(inputs, data_samples, strict=True):
            if BrightnessPanoptic.seen == BrightnessPanoptic.fail_at:
                raise KeyboardInterrupt
            if BrightnessPanoptic.seen == BrightnessPanoptic.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            BrightnessPanoptic.seen += 1
            labels = self.label((image[0].float() / self.step).floor().int().numpy())
            self.fill(sample, labels, tasks, with_scores)
        return data_samples

    def label(self, labels: np.ndarray) -> np.ndarray:
        return labels

    def fill(self, sample, labels, tasks, with_scores) -> None:
        count = len(self.vocabulary)
        if "semantic" in tasks:
            sample.pred_sem_seg = PixelData(data=torch.from_numpy(labels.clip(0, count - 1))[None])
            if with_scores:
                areas = np.bincount(labels.clip(0, count - 1).ravel(), minlength=count)
                scores = torch.from_numpy((areas > 0).astype(np.float32))
                sample.set_metainfo({"areas": torch.from_numpy(areas), "scores": scores})
        ids = np.zeros(labels.shape, np.int32)
        segments = []
        for label in range(count):
            region = (labels == label).astype(np.uint8)
            parts = region
            if self.vocabulary.things[label]:
                parts = cv2.connectedComponents(region, connectivity=8)[1]
            for number in range(1, parts.max() + 1):
                ids[parts == number] = len(segments) + 1
                area = int((parts == number).sum())
                segments.append(
                    dict(
                        id=len(segments) + 1,
                        category_id=label,
                        isthing=bool(self.vocabulary.things[label]),
                        score=0.9 - 0.01 * len(segments),
                        area=area,
                    )
                )
        if "panoptic" in tasks:
            sample.pred_panoptic = PixelData(data=torch.from_numpy(ids)[None])
            sample.set_metainfo({"pred_segments": segments})
        if "instance" in tasks:
            things = [s for s in segments if s["isthing"]]
            masks = np.array([ids == s["id"] for s in things], bool).reshape(-1, *ids.shape)
            sample.pred_instances = InstanceData(
                labels=torch.tensor([s["category_id"] for s in things], dtype=torch.long),
                scores=torch.tensor([s["score"] for s in things]),
                masks=torch.from_numpy(masks),
            )


@MODELS.register_module()
class ShiftedPanoptic(BrightnessPanoptic):
    """The same, two columns beside the truth: partly wrong everywhere."""

    def label(self, labels: np.ndarray) -> np.ndarray:
        return np.roll(labels, 2, axis=1)
