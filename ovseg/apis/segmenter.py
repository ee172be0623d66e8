"""The short way: a model by name, images of any kind in, results out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.structures import BaseDataElement
from mmseg.structures import SegDataSample

from ovseg.apis.inputs import ImageInput, as_list, load_image
from ovseg.apis.presets import set_protocol
from ovseg.apis.tasks import AnyResult, check_task, make_result, task_argument
from ovseg.apis.zoo import config_root, model_info
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.text import Vocabulary
from ovseg.utils.bfloat16 import computes_bfloat16
from ovseg.utils.config_errors import building, read_config
from ovseg.utils.devices import check_device
from ovseg.version import __version__

#: The model of `ovseg.segment` where none is named: real, never the nano one.
DEFAULT_MODEL = "maskclip_vit-b16"
_TOWERS = ("image_encoder", "text_encoder")
#: Parts that a segmentor can do without.
_OPTIONAL = ("guide", "aggregator", "foreground", "refiner")


class Segmenter:
    """A model that is ready for images.

    Args:
        model: a built segmentor.
        name: what results say it was made by.
    """

    def __init__(self, model: torch.nn.Module, name: str) -> None:
        self.model = model.eval()
        self.name = name

    def __repr__(self) -> str:
        return f"Segmenter({self.name!r}, device={str(self.device)!r})"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def to(self, device: str | torch.device) -> Segmenter:
        """Move the model.

        Raises:
            ConfigError: there is no such device.
        """
        check_device(device)
        self.model.to(device)
        return self

    def segment(
        self,
        images: Any,
        classes: Any = None,
        *,
        background: Any = None,
        batch_size: int = 1,
        task: str = "semantic",
        stuff: Any = None,
    ) -> AnyResult | list[AnyResult]:
        """Segment one image or many.

        Args:
            images: a path, open file, bytes, PIL image, NumPy array (H, W, 3) in RGB, tensor
                (3, H, W), or a list of them. A list may mix kinds and sizes.
            classes: a list of names, a dict of synonyms, a file, or the name of a built-in
                vocabulary; None keeps the classes of the call before (or of the config).
            background: words of a background class to put first, if any.
            batch_size: images whose windows go through the encoder together; results do not
                depend on it.
            task: "semantic": one class for each pixel; "panoptic": one segment for each pixel,
                with things told apart; "instance": things with scores, which may overlap.
            stuff: names of classes whose instances are not told apart (as sky and grass), beside
                those that the built-in vocabularies know as such. `Vocabulary.load` takes
                ``things`` too.

        Returns:
            One result for one image, a list for a list: `SegmentationResult`, `PanopticResult` or
            `InstanceResult`, as the task is.

        Raises:
            ImageError: if an input is not an image; names it.
            VocabularyError: if the classes cannot be used.
            ConfigError: if the model does not know the task; names models that do.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        check_task(self.model, task, self.name)
        sources, single = as_list(images)
        self._set_vocabulary(classes, background, stuff)
        results: list[AnyResult] = []
        for start in range(0, len(sources), batch_size):
            loaded = [load_image(source) for source in sources[start : start + batch_size]]
            results += self._segment_batch(loaded, task)
        return results[0] if single else results

    def _set_vocabulary(self, classes: Any, background: Any, stuff: Any) -> None:
        """Hand the classes to the model, if anything is said about them."""
        if classes is None and background is None and stuff is None:
            return
        if classes is None:
            classes = self.model.require_vocabulary()
        if stuff is not None:
            classes = Vocabulary.load(classes, stuff=stuff)
        self.model.set_vocabulary(classes, background)

    def _segment_batch(self, images: Sequence[ImageInput], task: str) -> list[AnyResult]:
        started = time.perf_counter()
        tensors = [
            torch.from_numpy(np.ascontiguousarray(i.pixels.transpose(2, 0, 1))) for i in images
        ]
        samples: list[BaseDataElement] = [
            SegDataSample(metainfo={"ori_shape": i.pixels.shape[:2]}) for i in images
        ]
        data = self.model.data_preprocessor({"inputs": tensors, "data_samples": samples}, False)
        found = self.model.predict(**data, with_scores=True, **task_argument(self.model, task))
        protocol = getattr(self.model, "protocol", None)
        info = {
            "model": self.name,
            "task": task,
            "ovseg": __version__,
            "protocol": protocol.as_dict() if hasattr(protocol, "as_dict") else None,
            "weights": self.model.fingerprints(),
            "vocabulary": self.model.vocabulary.name,
            "seconds": round((time.perf_counter() - started) / len(images), 4),
        }
        return [
            make_result(task, sample, self.model.vocabulary, image, dict(info))
            for sample, image in zip(found, images, strict=True)
        ]


def create_model(
    name: str = DEFAULT_MODEL,
    *,
    pretrained: bool | None = True,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
    precision: str | None = None,
    protocol: str | dict[str, Any] | None = None,
    **overrides: Any,
) -> Segmenter:
    """Build a model of the zoo, or of a config file.

    Args:
        name: a name of `list_models`, or the path of a config.
        pretrained: None or False builds every encoder with random weights (and warns that it did),
            except that ``weights`` still counts for CLIP.
        weights: local file of CLIP weights to use in place of the hub's.
        device: "cpu", "cuda", ...; by default a GPU if there is one.
        precision: "fp32", "bf16" or "fp16" for every encoder; None keeps the config's.
        protocol: name of a preset, see `list_protocols`, which takes the place of the config's
            protocol except for its thresholds; or a dict of single settings to change, such as
            ``{"short_side": 448}``.
        overrides: anything else to set in the model's config, such as ``templates="none"``. Dicts
            are merged into the config's; one of another ``type``, such as
            ``attention={"type": "SCLIPAttention"}``, takes its place. None leaves a setting as it
            is, but switches off the guide, aggregator, foreground or refiner.

    Raises:
        ConfigError: for an unknown name of a model or protocol, a setting that the model does not
            take, a config that cannot be read, or a device that is not there.
        WeightsNotFoundError: if weights are needed that cannot be had.
    """
    is_file = str(name).endswith(".py")
    path = Path(name) if is_file else config_root() / model_info(name).config
    if not path.is_file():
        raise ConfigError(
            f"there is no config file {path}: give a path that exists or a model name"
        )
    config = read_config(path)
    if "model" not in config:
        raise ConfigError(f"{path} does not describe a model: it has no key 'model'")
    if isinstance(protocol, str):
        set_protocol(config.model, protocol)
    else:
        overrides["protocol"] = protocol
    config.merge_from_dict({"model": _overrides(config.model, overrides)})
    _set_sources(config.model, bool(pretrained), weights, precision)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    check_device(chosen)
    if precision == "bf16" and computes_bfloat16(chosen) is False:
        warnings.warn(
            "This processor has no units for bfloat16 and emulates it: precision='bf16' will take "
            "longer than 'fp32' here.",
            stacklevel=2,
        )
    with building(str(name), config.model):
        if pretrained:
            model = MODELS.build(config.model)
        else:
            # The same random weights at every start: runs can be compared and taken up again.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model = MODELS.build(config.model)
    model = model.to(chosen)
    return Segmenter(model, path.stem if is_file else str(name))


def _set_sources(
    model: ConfigDict, pretrained: bool, weights: str | Path | None, precision: str | None
) -> None:
    """Where the encoders of a model's config take their weights from, and their precision."""
    towers = [model[key] for key in _TOWERS if key in model]
    others = list(model.get("encoders", {}).values())
    for settings in (*towers, *others):
        if not pretrained:
            settings.pretrained = settings.weights = None
        if precision is not None:
            settings.precision = precision
    for settings in towers if weights is not None else ():
        settings.weights = str(weights)
    if not pretrained:
        for part in (*_OPTIONAL, "head"):
            _without_weights(model.get(part))


def _without_weights(part: Any) -> None:
    """Learned layers of a part, and of parts within it, get random weights."""
    if isinstance(part, dict):
        if "pretrained" in part:
            part["pretrained"] = part["weights"] = None
        for inner in part.values():
            _without_weights(inner)


def _overrides(config: ConfigDict, overrides: dict[str, Any]) -> dict[str, Any]:
    """Overrides as MMEngine merges them: those that are None were not given or switch off."""
    given = {k: v for k, v in overrides.items() if v is not None or k in _OPTIONAL}
    return {key: _fitting(config, key, value) for key, value in given.items()}


def _fitting(before: dict[str, Any], key: str, value: Any) -> Any:
    """A dict is merged into one of its type, and takes the place of anything else."""
    if not isinstance(value, dict) or key not in before:
        return value
    old = before[key]
    if not isinstance(old, dict) or value.get("type", old.get("type")) != old.get("type"):
        return {**value, "_delete_": True}
    return {name: _fitting(old, name, inner) for name, inner in value.items()}


def segment(
    images: Any, classes: Any, *, model: str | Segmenter = DEFAULT_MODEL, **options: Any
) -> AnyResult | list[AnyResult]:
    """Segment images with words, in one call.

    Builds the model anew at every call; for many calls keep the one `create_model` gives.

    Args:
        images: see `Segmenter.segment`.
        classes: see `Segmenter.segment`.
        model: a name of `list_models`, or a model already built.
        options: ``background``, ``batch_size``, ``task`` and ``stuff`` go to `Segmenter.segment`,
            the rest to `create_model`.
    """
    own = ("background", "batch_size", "task", "stuff")
    call = {key: options.pop(key) for key in own if key in options}
    if isinstance(model, Segmenter):
        if options:
            raise ConfigError(
                f"{', '.join(sorted(options))} must be given where the model is created"
            )
    else:
        model = create_model(model, **options)
    return model.segment(images, classes, **call)
