"""What users call: inputs of any kind, the result value, and the loop over many files."""

from ovseg.apis.folder import FolderReport, segment_folder
from ovseg.apis.inputs import ImageInput, as_list, list_images, load_image
from ovseg.apis.instance_result import InstanceResult
from ovseg.apis.panoptic_result import PanopticResult
from ovseg.apis.result import SegmentationResult
from ovseg.apis.segments import Segment

__all__ = [
    "FolderReport",
    "ImageInput",
    "InstanceResult",
    "PanopticResult",
    "Segment",
    "SegmentationResult",
    "as_list",
    "list_images",
    "load_image",
    "segment_folder",
]
