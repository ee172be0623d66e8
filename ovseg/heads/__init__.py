"""What is trained."""

from ovseg.heads.dinoiser import DINOiserHead
from ovseg.heads.mask_criterion import MaskCriterion
from ovseg.heads.matcher import HungarianMatcher

__all__ = ["DINOiserHead", "HungarianMatcher", "MaskCriterion"]
