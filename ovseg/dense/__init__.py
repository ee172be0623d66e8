"""Steps 1 to 4 on tensors: windows, attention rules, logit maps, naming."""

from ovseg.dense.aggregation import Aggregator
from ovseg.dense.attention import AttentionRule, MaskCLIPAttention, PlainAttention
from ovseg.dense.decode import Labels, Naming, decode
from ovseg.dense.guide import Guide
from ovseg.dense.guides import CLIPGuide, DINOGuide, SAMGuide
from ovseg.dense.logit_map import Cropped, LogitMap, PatchLogits, Resized, TensorMap, WindowLogits
from ovseg.dense.picture import Picture, WindowBatch
from ovseg.dense.proxy_attention import ProxyAttention
from ovseg.dense.sam_correlation import SAMCorrelation
from ovseg.dense.splice import splice, spliceable_size
from ovseg.dense.windows import SlidingWindows, WholeImage, Window

__all__ = [
    "Aggregator",
    "AttentionRule",
    "CLIPGuide",
    "Cropped",
    "DINOGuide",
    "Guide",
    "Labels",
    "LogitMap",
    "MaskCLIPAttention",
    "Naming",
    "PatchLogits",
    "Picture",
    "PlainAttention",
    "ProxyAttention",
    "Resized",
    "SAMCorrelation",
    "SAMGuide",
    "SlidingWindows",
    "TensorMap",
    "WholeImage",
    "Window",
    "WindowBatch",
    "WindowLogits",
    "decode",
    "splice",
    "spliceable_size",
]
