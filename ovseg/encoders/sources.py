"""The table of known weights: which file a tag of a model stands for."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ovseg.encoders.weights import WeightSource
from ovseg.errors import WeightsNotFoundError

__all__ = ["NANO_TAG", "nano_file", "nano_models", "nano_source", "sam_source"]

NANO_TAG = "ovseg"
"""Tag of the weights packaged with this library."""


def nano_file(name: str) -> Path:
    """Path of a packaged file of the nano models, whether it exists or not."""
    return Path(str(resources.files("ovseg") / "assets" / "nano" / name))


def nano_models() -> list[str]:
    """Names of the models whose weights are packaged."""
    folder = nano_file("")
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def nano_source(model: str) -> WeightSource:
    """Packaged weights of ``model``.

    Raises:
        WeightsNotFoundError: No such file in the package; names those that are.
    """
    path = nano_file(f"{model}.safetensors")
    if not path.is_file():
        packaged = ", ".join(nano_models()) or "none"
        raise WeightsNotFoundError(
            f"no packaged weights for model {model!r} (tag {NANO_TAG!r}): packaged are {packaged}."
        )
    return WeightSource(name=f"{model}/{NANO_TAG}", path=path, licence="Apache-2.0")


_SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
_SAM_FILES = {
    "vit_b": "sam_vit_b_01ec64.pth",
    "vit_l": "sam_vit_l_0b3195.pth",
    "vit_h": "sam_vit_h_4b8939.pth",
}


def sam_source(model: str, tag: str = "sa1b") -> WeightSource:
    """Weights of the Segment Anything models of Meta (file names end in a digest's first digits).

    Raises:
        WeightsNotFoundError: Unknown model or tag.
    """
    if tag == NANO_TAG:
        return nano_source(model)
    if tag != "sa1b" or model not in _SAM_FILES:
        raise WeightsNotFoundError(
            f"no known weights {tag!r} for SAM {model!r}: known are sa1b for "
            f"{', '.join(_SAM_FILES)}, and {NANO_TAG} for packaged models."
        )
    file = _SAM_FILES[model]
    return WeightSource(
        name=f"sam-{model}/{tag}",
        url=_SAM_URL + file,
        sha256=Path(file).stem.rsplit("_", 1)[1],
        licence="Apache-2.0",
    )
