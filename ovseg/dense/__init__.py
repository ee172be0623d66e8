"""Steps 1 to 4 on tensors: windows, attention rules, logit maps, naming."""

from ovseg.dense.aggregation import Aggregator
from ovseg.dense.attention import AttentionRule, MaskCLIPAttention, PlainAttention
from ovseg.dense.class_token import ClassTokenFactor
from ovseg.dense.decode import Labels, Naming, decode
from ovseg.dense.foreground import DINOiserForeground, Foreground
from ovseg.dense.found import FOUNDForeground, SeedForeground
from ovseg.dense.guide import Guide
from ovseg.dense.guides import CLIPGuide, DINOGuide, DINOiserGuide, SAMGuide
from ovseg.dense.logit_map import (
    Cropped,
    LogitMap,
    LogProbabilities,
    PatchLogits,
    Resized,
    TensorMap,
    WindowLogits,
)
from ovseg.dense.neighborhood import NACLIPAttention
from ovseg.dense.patch_naming import PatchNaming
from ovseg.dense.picture import Picture, WindowBatch
from ovseg.dense.pooling import CorrelationPooling
from ovseg.dense.proxy_attention import ProxyAttention
from ovseg.dense.regions import box_features, dense_map, mask_features
from ovseg.dense.sam_correlation import SAMCorrelation
from ovseg.dense.self_correlation import (
    ClearCLIPAttention,
    CLIPtraseAttention,
    SCLIPAttention,
    SelfCorrelation,
)
from ovseg.dense.splice import splice, spliceable_size
from ovseg.dense.windows import SlidingWindows, WholeImage, Window

__all__ = [
    "Aggregator",
    "AttentionRule",
    "CLIPGuide",
    "CLIPtraseAttention",
    "ClassTokenFactor",
    "ClearCLIPAttention",
    "CorrelationPooling",
    "Cropped",
    "DINOGuide",
    "DINOiserForeground",
    "DINOiserGuide",
    "FOUNDForeground",
    "Foreground",
    "Guide",
    "Labels",
    "LogProbabilities",
    "LogitMap",
    "MaskCLIPAttention",
    "NACLIPAttention",
    "Naming",
    "PatchLogits",
    "PatchNaming",
    "Picture",
    "PlainAttention",
    "ProxyAttention",
    "Resized",
    "SAMCorrelation",
    "SAMGuide",
    "SCLIPAttention",
    "SeedForeground",
    "SelfCorrelation",
    "SlidingWindows",
    "TensorMap",
    "WholeImage",
    "Window",
    "WindowBatch",
    "WindowLogits",
    "box_features",
    "decode",
    "dense_map",
    "mask_features",
    "splice",
    "spliceable_size",
]
