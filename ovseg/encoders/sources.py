"""The table of known weights: which file a tag of a model stands for.

Nothing is invented here: CLIP comes from open_clip's own table, DINO from timm's, SAM from its
authors' release. Digests are given where the source publishes one (OpenAI and open_clip in the
address) or where it has been computed and stated by many independent users (SAM).
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from ovseg.encoders.weights import WeightSource
from ovseg.errors import WeightsNotFoundError

__all__ = [
    "NANO_TAG",
    "clip_source",
    "clip_tags",
    "dino_source",
    "is_packaged",
    "nano_file",
    "nano_models",
    "nano_source",
    "sam_source",
]

NANO_TAG = "ovseg"
"""Tag of the weights packaged with this library."""


def nano_file(name: str) -> Path:
    """Path of a packaged file of the nano models, whether it exists or not."""
    return Path(str(resources.files("ovseg"))) / "assets" / "nano" / name


def nano_models() -> list[str]:
    """Names of the models whose weights are packaged."""
    return sorted(path.stem for path in nano_file("").glob("*.safetensors"))


def is_packaged(tag: str | None) -> bool:
    """Whether a tag speaks of weights packaged with this library: `NANO_TAG`, or ``ovseg-<what>``.

    The latter is a model that was trained further: ``nano-vit-8`` with ``ovseg-clipself`` lies in
    ``nano-vit-8-clipself.safetensors``.
    """
    return tag is not None and (tag == NANO_TAG or tag.startswith(f"{NANO_TAG}-"))


def nano_source(model: str, tag: str = NANO_TAG) -> WeightSource:
    """Packaged weights of ``model``.

    Raises:
        WeightsNotFoundError: No such file in the package; names those that are.
    """
    path = nano_file(f"{model}{tag.removeprefix(NANO_TAG)}.safetensors")
    if not path.is_file():
        packaged = ", ".join(nano_models()) or "none"
        raise WeightsNotFoundError(
            f"no packaged weights for model {model!r} (tag {tag!r}): packaged are {packaged}."
        )
    return WeightSource(
        name=f"{model}/{tag}", path=path, size=path.stat().st_size, licence="Apache-2.0"
    )


_HUB_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def clip_tags(model: str) -> list[str]:
    """Tags of known weights for a CLIP architecture, packaged ones first."""
    from open_clip import list_pretrained_tags_by_model

    packaged = [
        NANO_TAG + name.removeprefix(model)
        for name in nano_models()
        if name == model or name.startswith(f"{model}-")
    ]
    return packaged + list_pretrained_tags_by_model(model)


def clip_source(model: str, tag: str) -> WeightSource:
    """Weights of a CLIP model, from open_clip's table.

    Where the table's plain address carries a digest of the whole file (OpenAI's) it comes first
    and the hub's copy is the alternative; else the hub comes first, as open_clip does it.

    Raises:
        WeightsNotFoundError: The tag is not known for the model; names those that are.
    """
    if is_packaged(tag):
        return nano_source(model, tag)
    from open_clip.pretrained import get_pretrained_cfg

    entry = get_pretrained_cfg(model, tag)
    if not entry:
        known = ", ".join(clip_tags(model)) or "none"
        raise WeightsNotFoundError(
            f"no known weights {tag!r} for CLIP model {model!r}: known are {known}. "
            "Give a file of your own as weights=."
        )
    name = f"{model}/{tag}"
    found = []
    if url := entry.get("url"):
        digest = _clip_digest(url)
        licence = "MIT" if "openaipublic" in url or "mlfoundations" in url else None
        found.append(WeightSource(name=name, url=url, sha256=digest, licence=licence))
    if place := entry.get("hf_hub"):
        repo, _, file = place.rpartition("/")
        licence = found[0].licence if found else ("MIT" if repo.startswith("laion/") else None)
        hub = WeightSource(name=name, hub_repo=repo, hub_files=_safe_first(file), licence=licence)
        whole = found and found[0].sha256 is not None and len(found[0].sha256) == 64
        found.insert(len(found) if whole else 0, hub)
    first, *others = found
    return WeightSource(**{**first.__dict__, "alternatives": tuple(others)})


def _safe_first(file: str) -> tuple[str, ...]:
    if not file:
        return _HUB_CLIP_FILES
    if file.endswith((".bin", ".pth")):
        return (f"{file[:-4]}.safetensors", file)
    return (file,)


def _clip_digest(url: str) -> str | None:
    """Digest in an address: OpenAI's folder name, open_clip's last part of the file name."""
    if match := re.search(r"openaipublic.*/([0-9a-f]{64})/", url):
        return match[1]
    if match := re.search(r"mlfoundations.*-([0-9a-f]{8,64})\.pth?$", url):
        return match[1]
    return None


def dino_source(model: str, tag: str) -> WeightSource:
    """Weights of a DINO model, from timm's table (``vit_base_patch16_224`` and ``dino``).

    Raises:
        WeightsNotFoundError: timm knows no such weights; names the tags it knows.
    """
    if tag == NANO_TAG:
        return nano_source(model)
    from timm.models import get_pretrained_cfg, list_pretrained

    known = [name.partition(".")[2] for name in list_pretrained(f"{model}.*")]
    entry = get_pretrained_cfg(f"{model}.{tag}") if tag in known else None
    if entry is None or not entry.hf_hub_id:
        raise WeightsNotFoundError(
            f"no known weights {tag!r} for {model!r}: known are {', '.join(known) or 'none'}."
        )
    file = entry.hf_hub_filename
    return WeightSource(
        name=f"{model}/{tag}",
        hub_repo=entry.hf_hub_id,
        hub_files=_safe_first(file) if file else ("model.safetensors", "pytorch_model.bin"),
        licence=entry.license,
    )


_SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
# The six digits in the authors' file names are of MD5; these are SHA-256.
_SAM_FILES = {
    "vit_b": (
        "sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375_042_383,
    ),
    "vit_l": (
        "sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        1_249_524_607,
    ),
    "vit_h": (
        "sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        2_564_550_879,
    ),
}


def sam_source(model: str, tag: str = "sa1b") -> WeightSource:
    """Weights of the Segment Anything models of Meta, from their authors' release.

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
    file, digest, size = _SAM_FILES[model]
    return WeightSource(
        name=f"sam_{model}/{tag}",
        url=_SAM_URL + file,
        sha256=digest,
        size=size,
        licence="Apache-2.0",
    )
