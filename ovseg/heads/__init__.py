"""What is trained, and how what it says becomes segments."""

from ovseg.heads.class_words import ClassWords, class_logits, seen_classes
from ovseg.heads.deformable_attention import DeformableAttention
from ovseg.heads.dinoiser import DINOiserHead
from ovseg.heads.ensemble import geometric_ensemble
from ovseg.heads.in_vocabulary import InVocabularyClassifier
from ovseg.heads.instance_inference import InstanceInference
from ovseg.heads.mask_bands import MaskBands
from ovseg.heads.mask_criterion import MaskCriterion
from ovseg.heads.mask_pooling import pool_masks
from ovseg.heads.mask_transformer import MaskTransformer
from ovseg.heads.matcher import HungarianMatcher
from ovseg.heads.out_of_vocabulary import out_of_vocabulary
from ovseg.heads.panoptic_inference import PanopticInference
from ovseg.heads.pixel_decoder import DeformablePixelDecoder
from ovseg.heads.semantic_inference import SemanticInference

__all__ = [
    "ClassWords",
    "DINOiserHead",
    "DeformableAttention",
    "DeformablePixelDecoder",
    "HungarianMatcher",
    "InVocabularyClassifier",
    "InstanceInference",
    "MaskBands",
    "MaskCriterion",
    "MaskTransformer",
    "PanopticInference",
    "SemanticInference",
    "class_logits",
    "geometric_ensemble",
    "out_of_vocabulary",
    "pool_masks",
    "seen_classes",
]
