"""Running published protocols, and putting what comes out beside what was published."""

from __future__ import annotations

import argparse
import difflib
import gc
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

from ovseg.apis.published import published_for
from ovseg.apis.run_digest import run_digest
from ovseg.apis.running import apply_arguments, load_config, prepare_launch
from ovseg.apis.storage import write_files
from ovseg.apis.testing import test_model
from ovseg.apis.zoo import config_root, list_models, model_info
from ovseg.errors import ConfigError, OvsegError
from ovseg.evaluation.records import write_json
from ovseg.evaluation.run_record import to_plain
from ovseg.registry import DATASETS, METRICS
from ovseg.utils.together import together
from ovseg.utils.writable import check_writable
from ovseg.version import __version__

__all__ = ["Comparison", "compare", "known_benchmarks", "markdown", "plan", "reproduce"]

FORMAT = "ovseg.reproduction/1"
NOTE = "reproduced.json"  # in the folder of a comparison that is finished
_WAITING = "not run yet"


@dataclass(frozen=True)
class Comparison:
    """One model on one benchmark.

    Attributes:
        model: Name in the zoo.
        method: Its folder of configs.
        benchmark: Name of a config in ``configs/_base_/datasets``.
        config: The config that holds the published protocol; None where there is none, and the
            model is run on the benchmark with its own settings.
    """

    model: str
    method: str
    benchmark: str
    config: Path | None

    @property
    def folder(self) -> Path:
        """Where it works, below the folder of results."""
        return Path(self.model) / self.benchmark


def known_benchmarks() -> list[str]:
    """The benchmarks there are configs of; folders of one's own are none."""
    files = (config_root() / "_base_" / "datasets").glob("*.py")
    return sorted(path.stem for path in files if not path.stem.startswith("folder"))


def plan(name: str, benchmarks: Sequence[str] = ()) -> list[Comparison]:
    """What is to be run.

    Args:
        name: A model of the zoo, or a method, which stands for all its models.
        benchmarks: Names; by default all that a config of a model exists for.

    Returns:
        For each model its benchmarks, in the order they were given or of their names.

    Raises:
        ConfigError: There is no such model, method or benchmark; close names are suggested.
    """
    of_method: dict[str, list[str]] = {}
    for info in list_models():
        of_method.setdefault(Path(info.config).parent.as_posix(), []).append(info.name)
    known = [*of_method, *(info.name for info in list_models())]
    if name not in known:
        raise ConfigError(f"There is no method or model {name!r}{_hint(name, known)}")
    for wanted in benchmarks:
        if wanted not in known_benchmarks():
            raise ConfigError(
                f"There is no benchmark {wanted!r}{_hint(wanted, known_benchmarks())}"
            )
    found = []
    for model in of_method.get(name, [name]):
        method = Path(model_info(model).config).parent.as_posix()
        paths = {
            benchmark: config_root() / method / f"{model}_{benchmark}.py"
            for benchmark in known_benchmarks()
        }
        for benchmark in benchmarks or [b for b, path in paths.items() if path.is_file()]:
            path = paths[benchmark]
            found.append(Comparison(model, method, benchmark, path if path.is_file() else None))
    return found


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else "; --list shows what there is."


def reproduce(
    comparisons: Sequence[Comparison],
    out: str | Path,
    name: str,
    *,
    launcher: str = "none",
    changes: Mapping[str, Any] | None = None,
    checkpoint: str | Path | None = None,
    seed: int | None = None,
    fresh: bool = False,
    tell: Callable[[dict], None] = lambda entry: None,
) -> list[dict]:
    """Run comparisons one after another, each in a folder of its own.

    After each, ``<out>/<name>.json`` and ``<name>.md`` are written anew. What an earlier call
    finished under the same settings, with the same data and weights, is not run again and stays in
    the table, an unfinished one goes on after its last finished image, and what was run otherwise
    is run anew. A benchmark that cannot be run is told as such, and the others are run.

    Args:
        comparisons: See `plan`.
        out: Folder of results.
        name: Of the two files.
        launcher: As for MMEngine: ``"none"``, ``"pytorch"``, ``"slurm"``, ``"mpi"``. Any number of
            processes writes the same files.
        changes: Settings of every config to change; numbers made so are marked.
        checkpoint: Trained weights, as for `ovseg.apis.testing.test_model`.
        seed: Random seed.
        fresh: Leave what is there, and begin anew.
        tell: Called in the main process with each entry when it is there.

    Returns:
        The entries of the JSON file, see `compare`; the same in every process.

    Raises:
        SaveError: ``out`` cannot be written to.
    """
    out = Path(out)
    runtime = Config.fromfile(config_root() / "_base_" / "default_runtime.py")
    runtime.launcher = launcher
    prepare_launch(runtime)
    with together():
        check_writable(out)
    arguments = argparse.Namespace(
        launcher=launcher, cfg_options=dict(changes or {}), seed=seed, local_rank=None
    )
    waiting = [compare(comparison, problem=_WAITING) for comparison in comparisons]
    earlier = []
    if is_main_process():
        earlier = _earlier(comparisons, out, name, arguments, checkpoint)
    entries = _table(waiting, _of_main(earlier))
    for comparison in comparisons:
        # The files of the main process count.
        entry = _of_main(_one(comparison, out, arguments, checkpoint, fresh))
        entries = _table([entry], entries)
        with together():
            if is_main_process():
                _write(entries, out, name)
                tell(entry)
    return entries


def _of_main(value: Any) -> Any:
    """What the main process has, in every process."""
    shared = [value]
    broadcast_object_list(shared)
    return shared[0]


def _one(
    comparison: Comparison,
    out: Path,
    arguments: argparse.Namespace,
    checkpoint: str | Path | None,
    fresh: bool,
) -> dict:
    """Run a comparison, or take what an earlier run left; the entry of it."""
    folder = out / comparison.folder
    changed = bool(arguments.cfg_options)
    try:
        with together():
            config = _config_of(comparison, folder, arguments)
            digest = note = None
            if is_main_process():  # its files count
                digest = run_digest(config, checkpoint)  # of now: a run completes its config
                note = None if fresh else _note_of(folder, digest)
        note = _of_main(note)
        if note is None or "scores" not in note:
            with together():
                if is_main_process():
                    write_json(folder / NOTE, dict(digest=digest))
            scores = test_model(config, checkpoint, resume=note is not None)
            with together():
                note = _take_note(folder, digest, scores) if is_main_process() else {}
        return _scored(comparison, config, note, changed)
    except OvsegError as error:
        return compare(comparison, problem=str(error))
    except Exception as error:  # the others are run all the same: it may be memory, or one file
        logging.getLogger("ovseg").exception("%s failed", comparison.folder)
        return compare(comparison, problem=f"{type(error).__name__}: {error}")
    finally:
        gc.collect()  # models lie in cycles of runner and hooks
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _scored(comparison: Comparison, config: Config, note: dict, changed: bool) -> dict:
    dataset = DATASETS.get(config.test_dataloader["dataset"]["type"])
    expected = getattr(dataset, "IMAGES", None)
    return compare(comparison, note, changed=changed, expected=expected)


def _config_of(comparison: Comparison, folder: Path, arguments: argparse.Namespace) -> Config:
    """The config of a comparison; where there is none, that of the model with the benchmark's."""
    info = model_info(comparison.model)
    path = comparison.config or config_root() / info.config
    given = argparse.Namespace(config=str(path), work_dir=str(folder), **vars(arguments))
    if comparison.config is not None:
        return load_config(given)
    benchmark = config_root() / "_base_" / "datasets" / f"{comparison.benchmark}.py"
    settings = Config.fromfile(benchmark)
    metrics = settings.test_evaluator
    for metric in metrics if isinstance(metrics, list) else [metrics]:
        task = getattr(METRICS.get(metric["type"]), "task", "semantic")
        if task not in info.tasks:
            raise ConfigError(
                f"{comparison.model} gives classes and no segments, which the {metric['type']} of "
                f"{comparison.benchmark} asks for; take a benchmark that is scored by classes "
                f"alone, or a model for {task} segmentation."
            )
    config = Config.fromfile(path)
    config.merge_from_dict(dict(settings.items()))
    config.experiment_name = f"{comparison.model}_{comparison.benchmark}"
    return apply_arguments(config, given)


# ------------------------------------------------------------ what is finished


def _note_of(folder: Path, digest: str) -> dict | None:
    """What an earlier run of the same digest left.

    It has ``scores`` where that run was finished; None where there was none.
    """
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return note if note["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never run, or cut: it is run


def _take_note(folder: Path, digest: str, scores: dict[str, float]) -> dict:
    """Keep the record of a run where it is found, and what the table needs of it."""
    newest = max(folder.glob("*/results.json"), key=lambda path: path.stat().st_mtime)
    record = json.loads(newest.read_text(encoding="utf-8"))
    write_json(folder / "record.json", record)
    note = dict(
        digest=digest,
        scores=to_plain(scores),
        images=record["dataset"]["images"],
        protocol=record["protocol"],
        weights=record["weights"],
    )
    write_json(folder / NOTE, note)
    return note


def _earlier(
    comparisons: Sequence[Comparison],
    out: Path,
    name: str,
    arguments: argparse.Namespace,
    checkpoint: str | Path | None,
) -> list[dict]:
    """The entries of the table that earlier calls left, as far as this call would not run them.

    Those that it is asked for keep their place and wait; of the others only finished ones stay.
    """
    try:
        content = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        pairs = [(entry["model"], entry["benchmark"]) for entry in content["comparisons"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # there is none
    kept = []
    for model, benchmark in pairs:
        try:
            (comparison,) = plan(model, [benchmark])
            if comparison in comparisons:
                kept.append(compare(comparison, problem=_WAITING))
                continue
            folder = out / comparison.folder
            config = _config_of(comparison, folder, arguments)
            note = _note_of(folder, run_digest(config, checkpoint))
            if note is not None and "scores" in note:
                kept.append(_scored(comparison, config, note, bool(arguments.cfg_options)))
        except Exception as error:  # its data are gone: it cannot be said whether it still holds
            logging.getLogger("ovseg").info("%s on %s is left out: %s", model, benchmark, error)
    return kept


def _table(new: Sequence[dict], before: Sequence[dict]) -> list[dict]:
    """Entries with new ones in the place of those before, or behind them; models stay together."""
    entries = {(entry["model"], entry["benchmark"]): entry for entry in (*before, *new)}
    models = [info.name for info in list_models()]
    return sorted(entries.values(), key=lambda entry: models.index(entry["model"]))


# ------------------------------------------------------------ what is written


def compare(
    comparison: Comparison,
    note: Mapping[str, Any] | None = None,
    *,
    problem: str | None = None,
    changed: bool = False,
    expected: int | None = None,
) -> dict:
    """Put scores beside the published ones.

    Args:
        comparison: What was run.
        note: ``scores`` in percent, ``images``, ``protocol`` and ``weights`` of a run.
        problem: Why there are no scores.
        changed: Whether settings of the config were changed.
        expected: Images that published scores are made on.

    Returns:
        JSON values: ``scores``, ``published`` (rows with ``by``, ``source``, ``differs`` and
        ``scores``; the first is the one to compare with), ``difference`` (ours less the first
        published, by metric), ``remarks`` that say why the two may not be comparable, ``problem``.
    """
    rows = published_for(comparison.method, comparison.model, comparison.benchmark)
    published = [
        dict(
            label=row.label,
            by=row.by,
            source=row.source,
            differs=row.differs or None,
            scores=dict(row.scores[comparison.benchmark]),
        )
        for row in rows
    ]
    note = note or {}
    scores = note.get("scores") or {}
    against = published[0]["scores"] if published else {}
    remarks = []
    if scores:
        if comparison.config is None:
            remarks.append("no published protocol: the model's own settings")
        if changed:
            remarks.append("settings were changed on the command line")
        if expected is not None and note.get("images") != expected:
            remarks.append(f"{note.get('images')} images, not the {expected} of the benchmark")
        if published and published[0]["differs"]:
            remarks.append(f"published with {published[0]['differs']}")
    return dict(
        model=comparison.model,
        benchmark=comparison.benchmark,
        config=_relative(comparison.config),
        scores=scores or None,
        published=published,
        difference={
            metric: round(scores[metric] - value, 6)
            for metric, value in against.items()
            if scores.get(metric) is not None
        },
        images=note.get("images"),
        protocol=note.get("protocol"),
        weights=note.get("weights"),
        record=f"{comparison.folder.as_posix()}/record.json" if scores else None,
        remarks=remarks,
        problem=problem,
    )


def _relative(path: Path | None) -> str | None:
    return path and f"configs/{path.relative_to(config_root()).as_posix()}"


def _write(entries: Sequence[dict], out: Path, name: str) -> None:
    content = dict(format=FORMAT, ovseg=__version__, comparisons=list(entries))
    write_json(out / f"{name}.json", to_plain(content))
    write_files({out / f"{name}.md": markdown(entries, name).encode()})


def markdown(entries: Sequence[dict], name: str) -> str:
    """A table of ours beside the published scores, and below it what there is to say of them."""
    lines = [
        f"# {name}: measured and published",
        "",
        "Percent. *Ours* was measured by tools/reproduce.py, *published* is what the source says;",
        "*difference* is ours less published.",
        "",
        "| model | benchmark | metric | ours | published | difference | published by | images |",
        "|---|---|---|---:|---:|---:|---|---:|",
    ]
    remarks, sources = [], {}
    for entry in entries:
        scores, first = entry["scores"] or {}, (entry["published"] or [{}])[0]
        against = first.get("scores", {})
        for metric in against or _main_metrics(scores):
            who = ""
            if metric in against:
                place = sources.setdefault(first["source"], len(sources) + 1)
                who = f"{first['by']} [{place}]"
            cells = [
                entry["model"],
                entry["benchmark"],
                metric,
                _number(scores.get(metric)) or "-",
                f"{against[metric]:g}" if metric in against else "-",
                _number(entry["difference"].get(metric), sign=True) or "-",
                who or "-",
                str(entry["images"] or "-"),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        where = f"{entry['model']} on {entry['benchmark']}"
        remarks += [f"- {where}: {remark}." for remark in entry["remarks"]]
        if entry["problem"]:
            remarks.append(f"- **{where}: not scored.** {entry['problem']}")
    if remarks:
        lines += ["", *remarks]
    if sources:
        lines += ["", *(f"[{place}] {source}  " for source, place in sources.items())]
    return "\n".join(lines).rstrip() + "\n"


def _main_metrics(scores: Mapping[str, float]) -> list[str]:
    return [metric for metric in ("PQ", "AP", "mIoU") if metric in scores] or ["mIoU"]


def _number(value: float | None, sign: bool = False) -> str:
    return "" if value is None else f"{value:+.2f}" if sign else f"{value:.2f}"
