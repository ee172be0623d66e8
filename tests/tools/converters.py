"""The converters in tools/dataset_converters, which import one another as scripts do."""

from __future__ import annotations

import sys
from pathlib import Path

CONVERTERS = Path(__file__).parents[2] / "tools" / "dataset_converters"
sys.path.insert(0, str(CONVERTERS))

import ade20k_847  # noqa: E402
import ade20k_panoptic  # noqa: E402
import check_dataset  # noqa: E402
import coco_object  # noqa: E402
import conversion  # noqa: E402
import conversion_record  # noqa: E402
import pascal_context_60  # noqa: E402
import pascal_context_459  # noqa: E402
import shapes  # noqa: E402
import workers  # noqa: E402

__all__ = [
    "CONVERTERS",
    "ade20k_847",
    "ade20k_panoptic",
    "check_dataset",
    "coco_object",
    "conversion",
    "conversion_record",
    "pascal_context_60",
    "pascal_context_459",
    "shapes",
    "workers",
]
