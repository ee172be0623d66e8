"""Scoring a model on a dataset: checked first, saved image by image, recorded at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import get_rank, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.registry import EVALUATOR
from torch import nn

from ovseg.apis.running import FrozenRunner, prepare_launch
from ovseg.errors import CheckpointMismatchError, ConfigError
from ovseg.evaluation.base import ImageMetric
from ovseg.evaluation.panoptic_files import PanopticFiles
from ovseg.evaluation.predictions import SavePredictions, prediction_names
from ovseg.evaluation.records import RecordStore, image_key, write_json
from ovseg.evaluation.run_record import checkpoint_entry, run_record, to_plain
from ovseg.registry import DATASETS, MODELS
from ovseg.text import Vocabulary
from ovseg.utils.checkpoints import check_state_dict, load_checkpoint
from ovseg.utils.config_errors import building
from ovseg.utils.frozen import check_frozen, frozen_prefixes
from ovseg.utils.together import together
from ovseg.utils.writable import check_writable
from ovseg.version import __version__

__all__ = ["build_dataset", "check_classes", "test_model"]


def test_model(
    config: Config,
    checkpoint: str | Path | None = None,
    *,
    out_dir: str | Path | None = None,
    show_dir: str | Path | None = None,
    panoptic_dir: str | Path | None = None,
    resume: bool = False,
) -> dict[str, float]:
    """Score the model of a configuration on its test dataset.

    Every image leaves its record in ``<work_dir>/finished`` as soon as it is finished; the record
    of the run is written to ``<work_dir>/<time>/results.json``.

    Args:
        config: Needs ``model``, ``test_dataloader``, ``test_evaluator`` and ``work_dir``.
        checkpoint: Weights to load into the model, if it has trained ones.
        out_dir: Save label maps there, under the names of the images.
        show_dir: Save overlays there.
        panoptic_dir: Save segments there, as PNGs of ids with ``<panoptic_dir>.json`` beside the
            folder: COCO's layout of panoptic results.
        resume: Keep the images that an interrupted run finished.

    Returns:
        The scores, the same in every process.

    Raises:
        WeightsNotFoundError: The checkpoint is missing.
        CheckpointMismatchError: The checkpoint belongs to another model.
        DatasetError: The dataset is not laid out or labelled as configured.
        ConfigError: The config describes what cannot be built, the model's classes are not those
            of the dataset, or ``resume`` is asked of results of other settings.
        SaveError: A folder of results cannot be written to.
    """
    start = time.monotonic()
    prepare_launch(config)
    with together():
        checkpoint = checkpoint or config.get("load_from")
        config.load_from, config.resume = None, False  # loaded here, and checked
        weights = load_checkpoint(checkpoint) if checkpoint is not None else None
        dataset = _checked_dataset(config)
        classes = dataset.metainfo["classes"]
        for folder in (config.work_dir, out_dir, show_dir, panoptic_dir):
            if folder is not None:
                check_writable(folder)
        _choose_vocabulary(config, dataset.metainfo)

    with together():
        with building("The model or its runner", config.to_dict()):
            runner = FrozenRunner.from_cfg(config)
        model = getattr(runner.model, "module", runner.model)
        if weights is not None:
            _load_weights(model, weights, str(checkpoint))
        check_classes(model, classes, type(dataset).__name__)
        _tell_things(model, dataset.metainfo)

        with building("test_evaluator", config.test_evaluator):
            evaluator = _build_evaluator(config.test_evaluator)
        evaluator.dataset_meta = dataset.metainfo
        root = dataset.metainfo.get("image_root") or ""
        keys = [image_key(dataset.get_data_info(i)["img_path"], root) for i in range(len(dataset))]
        entry = checkpoint_entry(checkpoint)
        store = _open_store(config, model, entry, evaluator, resume)
        finished = set()
        if store is not None and resume:
            finished = _finished(store, evaluator, keys, (out_dir, show_dir), panoptic_dir)
    with together():
        if store is not None and is_main_process():
            store.start(resume)
    remaining = [i for i, key in enumerate(keys) if key not in finished]
    if finished:
        runner.logger.info(f"{len(finished)} of {len(keys)} images were finished before.")

    draw = None
    if show_dir is not None:
        from ovseg.visualization import draw_overlay as draw
    saving = SavePredictions(
        classes,
        keys,
        root,
        store,
        out_dir,
        show_dir,
        draw,
        panoptic_dir,
        dataset.metainfo.get("category_ids"),
    )
    runner.register_hook(saving)
    if remaining:
        if len(remaining) < len(keys):
            dataset.get_subset_(remaining)
        runner._test_dataloader = {**config.test_dataloader, "dataset": dataset}
        runner._test_evaluator = evaluator
        with together(), building("test_dataloader or test_cfg", config.to_dict()):
            _ = runner.test_loop  # is built when it is asked for
        scores = _run(runner, evaluator)
    else:
        scores = evaluator.evaluate(0)
        saving.after_test_epoch()

    with together():
        if is_main_process():
            record = run_record(
                config,
                model,
                scores,
                dataset=dict(
                    type=type(dataset).__name__,
                    vocabulary=dataset.metainfo.get("vocabulary"),
                    images=len(keys),
                    classes=len(classes),
                ),
                metrics=[_describe(metric) for metric in evaluator.metrics],
                checkpoint=entry,
                seed=runner.seed,
                seconds=round(time.monotonic() - start, 3),
                resumed_images=len(finished),
            )
            path = Path(runner.work_dir) / runner.timestamp / "results.json"
            write_json(path, record)
            runner.logger.info(f"Record of this run: {path}")
    return scores


def check_classes(model: nn.Module, classes: Sequence[str], dataset: str) -> None:
    """Make sure that a model has the classes of a dataset, in its order.

    Names may be spelled differently, so their number is compared, and the place of those that
    both lists hold.

    Raises:
        ConfigError: They differ, or the model has no classes at all.
    """
    require = getattr(model, "require_vocabulary", None)
    vocabulary = require() if callable(require) else getattr(model, "vocabulary", None)
    if vocabulary is not None:
        found, what = len(vocabulary), f"vocabulary {getattr(vocabulary, 'name', '')!r}"
    else:
        found = getattr(getattr(model, "decode_head", None), "num_classes", None)
        what = "head"
        if found is None:
            return
    if found != len(classes):
        raise ConfigError(
            f"The {what} of {type(model).__name__} has {found} classes but {dataset} has "
            f"{len(classes)}; name the vocabulary of the dataset in model.vocabulary, one line for "
            "each of its classes."
        )
    named = [name.casefold() for name in getattr(vocabulary, "classes", ())]
    for place, name in enumerate(classes):
        name = name.casefold()
        if named.count(name) == 1 and named.index(name) != place:
            raise ConfigError(
                f"The {what} of {type(model).__name__} has {name!r} as class {named.index(name)} "
                f"but {dataset} has it as class {place}; list the classes in the dataset's order."
            )


class _Evaluator(Evaluator):
    """Scores once all processes have been through their images, or raises in all of them."""

    reached = False

    def evaluate(self, size: int) -> dict:
        """Wait for all processes, then score."""
        self.reached = True
        with together():
            pass
        return super().evaluate(size)


def _build_evaluator(metrics: Any) -> Evaluator:
    """The evaluator of a configuration; one that it names itself is taken as it is."""
    if isinstance(metrics, dict) and "metrics" in metrics:
        return EVALUATOR.build({"type": "Evaluator", **metrics})
    return _Evaluator(metrics)


def _run(runner: FrozenRunner, evaluator: Evaluator) -> dict[str, float]:
    """Test; an error on an image of one process reaches those that wait for its records."""
    try:
        return runner.test()
    except Exception:
        if getattr(evaluator, "reached", True):
            raise
        with together():
            raise


def build_dataset(config: Config):
    """The test dataset of a configuration.

    Raises:
        DatasetError: It is not laid out as configured.
        ConfigError: There is none.
    """
    loader = config.get("test_dataloader")
    if not loader or not config.get("test_evaluator"):
        raise ConfigError(
            f"Config {config.filename} has no test_dataloader or test_evaluator; inherit from a "
            "dataset in configs/_base_/datasets."
        )
    with building("The dataset", loader["dataset"]):
        return DATASETS.build(loader["dataset"])


def _checked_dataset(config: Config):
    """The test dataset, of which some masks were read."""
    dataset = build_dataset(config)
    check = getattr(dataset, "check_masks", None)
    if callable(check):
        check()
    return dataset


def _choose_vocabulary(config: Config, metainfo: dict[str, Any]) -> None:
    """Give a model that takes any vocabulary and was given none that of the dataset.

    Raises:
        ConfigError: The configuration describes no model.
    """
    if not isinstance(config.get("model"), dict) or "type" not in config.model:
        raise ConfigError(
            f"Config {config.filename} describes no model (it has no model.type); inherit from the "
            "config of one."
        )
    takes_any = hasattr(MODELS.get(config.model["type"]), "set_vocabulary")
    if takes_any and config.model.get("vocabulary") is None:
        config.model["vocabulary"] = metainfo.get("vocabulary") or list(metainfo["classes"])


def _tell_things(model: nn.Module, metainfo: dict[str, Any]) -> None:
    """Let a model that takes any vocabulary know what the dataset counts as things."""
    groups, vocabulary = metainfo.get("groups"), getattr(model, "vocabulary", None)
    if not isinstance(vocabulary, Vocabulary) or not groups or "thing" not in groups:
        return
    things = np.zeros(len(vocabulary), bool)
    things[groups["thing"]] = True
    if (things != vocabulary.things).any():
        model.set_vocabulary(replace(vocabulary, is_thing=tuple(things.tolist())))


def _load_weights(model: nn.Module, weights: dict, source: str) -> None:
    state = weights
    if isinstance(weights, dict):  # "model" is detectron2's name
        state = weights.get("state_dict", weights.get("model", weights))
    if not isinstance(state, dict):
        raise CheckpointMismatchError(
            f"Checkpoint {source} holds no state dict; save model.state_dict()."
        )
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    adapt = getattr(model, "adapt_state_dict", None)
    if callable(adapt):  # checkpoints of authors, under other names
        state = adapt(state, source)
    meta = weights.get("meta")
    if isinstance(meta, dict) and "frozen" in meta:
        check_frozen(model, meta["frozen"], source)
    check_state_dict(model, state, source, frozen_prefixes(model))
    model.load_state_dict(state, strict=False)


def _open_store(
    config: Config,
    model: nn.Module,
    checkpoint: dict | None,
    evaluator: Evaluator,
    resume: bool,
) -> RecordStore | None:
    """The store of image records, attached to the metrics; None where a metric cannot use one."""
    foreign = [m for m in evaluator.metrics if not isinstance(m, ImageMetric)]
    if foreign:
        if resume:
            raise ConfigError(
                f"{type(foreign[0]).__name__} keeps no records of images and cannot be resumed; "
                "use SegmentationScores, or leave --resume out."
            )
        return None
    fingerprints = getattr(model, "fingerprints", None)
    settings = to_plain(
        dict(
            ovseg=__version__,
            model=config.model,
            data_preprocessor=config.get("data_preprocessor"),
            weights=fingerprints() if callable(fingerprints) else None,
            checkpoint=(checkpoint or {}).get("sha256"),
            dataset=config.test_dataloader["dataset"],
            metrics=config.test_evaluator,
            seed=config.randomness["seed"],
        )
    )
    store = RecordStore(
        Path(config.work_dir) / "finished", settings, resume=resume, rank=get_rank()
    )
    for metric in evaluator.metrics:
        metric.attach(store)
    return store


def _finished(
    store: RecordStore,
    evaluator: Evaluator,
    keys: Sequence[str],
    folders: Sequence[str | Path | None],
    panoptic_dir: str | Path | None,
) -> set[str]:
    """Images with a record in every metric and a file in every folder that is asked for."""
    recorded = [metric.name for metric in evaluator.metrics]
    if panoptic_dir is not None:
        recorded.append(PanopticFiles.RECORD)
    finished = store.finished_images(recorded) & set(keys)
    names = prediction_names(keys)
    for folder in (*folders, panoptic_dir):
        if folder is not None:
            finished = {key for key in finished if (Path(folder) / names[key]).is_file()}
    return finished


def _describe(metric: Any) -> dict[str, Any]:
    """What the record says of a metric, the rule for absent classes included."""
    found = {"type": type(metric).__name__}
    for name in ("prefix", "absent", "void", "num_images", "per_class"):
        if hasattr(metric, name):
            found[name] = getattr(metric, name)
    return found


# pytest collects functions of this name from modules that import it
test_model.__test__ = False
