"""Steps 1 to 4 on tensors: windows, attention rules, logit maps, naming."""

from ovseg.dense.aggregation import Aggregator
from ovseg.dense.attention import AttentionRule, MaskCLIPAttention, PlainAttention
from ovseg.dense.decode import Labels, Naming, decode
from ovseg.dense.guide import Guide
from ovseg.dense.logit_map import LogitMap, Resized, WindowLogits
from ovseg.dense.picture import Picture, WindowBatch
from ovseg.dense.splice import splice
from ovseg.dense.windows import SlidingWindows, WholeImage, Window

__all__ = [
    "Aggregator",
    "AttentionRule",
    "Guide",
    "Labels",
    "LogitMap",
    "MaskCLIPAttention",
    "Naming",
    "Picture",
    "PlainAttention",
    "Resized",
    "SlidingWindows",
    "WholeImage",
    "Window",
    "WindowBatch",
    "WindowLogits",
    "decode",
    "splice",
]
