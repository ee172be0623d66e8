"""Known weights of FC-CLIP's head."""

from __future__ import annotations

from ovseg.encoders.sources import NANO_TAG, nano_source
from ovseg.encoders.weights import WeightSource
from ovseg.errors import WeightsNotFoundError

# The authors' model zoo (bytedance/fc-clip, README.md): trained on COCO panoptic. Google Drive.
_DRIVE = "https://drive.usercontent.google.com/download?confirm=t&export=download&id="
_RELEASED = {
    "fcclip_convnext-l": "1-91PIns86vyNaL3CzMmDD39zKGnPMtvj",
    "fcclip_rn50": "1tcB-8FNON-LwckXQbUyKcBA2G7TU65Zh",
    "fcclip_rn101": "1P0mdgftReWzVbPQ0O0CSBfW3krHhTOj0",
    "fcclip_rn50x4": "1nUpUsNUE22eOV9skxv9IyIkmCbg5jrIF",
    "fcclip_rn50x16": "1rJu2UwwtI0VLDl9CyB8Mkgw9qHlnX70W",
    "fcclip_rn50x64": "1rvfFVp5p3PZQsHp2NGVEBeYYcqgVVaZX",
}


def fcclip_source(model: str, tag: str) -> WeightSource:
    """Known weights of the head that is called ``model``.

    Args:
        model: name of the head, such as ``"fcclip_convnext-l"``.
        tag: ``"authors"``, or ``"ovseg"`` for packaged ones.

    Raises:
        WeightsNotFoundError: no such weights; names those that are known.
    """
    if tag == NANO_TAG:
        return nano_source(model)
    if tag != "authors" or model not in _RELEASED:
        raise WeightsNotFoundError(
            f"no known weights {tag!r} of the FC-CLIP head {model!r}: the authors released "
            f"{', '.join(_RELEASED)} (tag 'authors'), {NANO_TAG!r} names packaged ones. Give a "
            "file of your own as head.weights."
        )
    return WeightSource(
        name=f"{model}/authors",
        url=_DRIVE + _RELEASED[model],
        file_name=f"{model}_coco-panoptic.pth",
        licence="Apache-2.0",
    )
