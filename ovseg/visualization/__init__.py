"""Pictures of results: class colors, overlays with a legend, comparison sheets."""

from ovseg.visualization.overlay import draw_overlay
from ovseg.visualization.palette import class_color, class_colors
from ovseg.visualization.segments import draw_segments
from ovseg.visualization.sheet import comparison_sheet

__all__ = ["class_color", "class_colors", "comparison_sheet", "draw_overlay", "draw_segments"]
