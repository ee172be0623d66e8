"""Steps 1 to 4 on tensors: windows, attention rules, logit maps, naming."""

from ovseg.dense.attention import AttentionRule, MaskCLIPAttention, PlainAttention
from ovseg.dense.decode import Labels, decode
from ovseg.dense.logit_map import LogitMap, Resized, WindowLogits
from ovseg.dense.windows import SlidingWindows, WholeImage, Window

__all__ = [
    "AttentionRule",
    "Labels",
    "LogitMap",
    "MaskCLIPAttention",
    "PlainAttention",
    "Resized",
    "SlidingWindows",
    "WholeImage",
    "Window",
    "WindowLogits",
    "decode",
]
