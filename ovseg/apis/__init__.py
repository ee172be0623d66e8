"""What users call: inputs of any kind, the result value, and the loop over many files."""

from ovseg.apis.folder import FolderReport, segment_folder
from ovseg.apis.inputs import ImageInput, as_list, list_images, load_image
from ovseg.apis.result import SegmentationResult

__all__ = [
    "FolderReport",
    "ImageInput",
    "SegmentationResult",
    "as_list",
    "list_images",
    "load_image",
    "segment_folder",
]
