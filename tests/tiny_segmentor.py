"""A model for tests of running and scoring: it tells classes by how bright pixels are."""

from __future__ import annotations

import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData

from ovseg.registry import MODELS
from ovseg.text import Vocabulary


@MODELS.register_module()
class BrightnessSegmentor(BaseModel):
    """Class k where red is around 80 k; nothing is trained.

    Args:
        vocabulary: Anything `Vocabulary.load` takes.
    """

    seen = 0  # images of all instances since a test set it to 0
    fail_at = None  # after so many images it is interrupted

    def __init__(self, vocabulary=None) -> None:
        super().__init__()
        self.vocabulary = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)
        self.step = torch.nn.Parameter(torch.tensor([80.0]), requires_grad=False)

    def set_vocabulary(self, vocabulary) -> None:
        self.vocabulary = Vocabulary.load(vocabulary)

    def fingerprints(self) -> dict[str, str]:
        return {"eyes": "none"}

    def forward(self, inputs, data_samples=None, mode="predict"):
        for image, sample in zip(inputs, data_samples, strict=True):
            if BrightnessSegmentor.seen == BrightnessSegmentor.fail_at:
                raise KeyboardInterrupt
            BrightnessSegmentor.seen += 1
            labels = (image[:1].float() / self.step).floor().clamp(max=2).to(torch.int32)
            sample.pred_sem_seg = PixelData(data=labels)
        return data_samples
