"""Scores of predictions against ground truth, and what a run of them leaves on disk."""

from ovseg.evaluation.boundary import BoundaryScores
from ovseg.evaluation.iou import SegmentationScores
from ovseg.evaluation.mask_ap import MaskAP
from ovseg.evaluation.panoptic import PanopticQuality
from ovseg.evaluation.predictions import SavePredictions
from ovseg.evaluation.region_accuracy import RegionAccuracy

__all__ = [
    "BoundaryScores",
    "MaskAP",
    "PanopticQuality",
    "RegionAccuracy",
    "SavePredictions",
    "SegmentationScores",
]
