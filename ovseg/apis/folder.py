"""Many files in, results on disk: resumable, in constant memory, and no bad file stops the rest."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from ovseg.apis.inputs import ImageInput, load_image
from ovseg.apis.outputs import Job, is_done, plan_jobs, source_of
from ovseg.apis.peers import Peers
from ovseg.apis.tasks import AnyResult
from ovseg.errors import ImageError, SaveError
from ovseg.utils.writable import check_writable
from ovseg.version import __version__

__all__ = ["KINDS", "FolderReport", "segment_folder"]

KINDS = ("mask", "overlay", "sheet", "json")
"""What can be saved of a result."""

_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class SegmentsImages(Protocol):
    """What is asked of a model here."""

    def segment(
        self, images: Sequence[Any], classes: Any = None, *, batch_size: int = 1, **options: Any
    ) -> list[AnyResult]:
        """Segment a list of (H, W, 3) uint8 RGB arrays; ``task`` is the one option."""


@dataclass(frozen=True)
class FolderReport:
    """What became of each input file.

    Attributes:
        done: files segmented now.
        skipped: files whose result was there already.
        failed: (file, why) of those that could not be segmented.
    """

    done: tuple[Path, ...]
    skipped: tuple[Path, ...]
    failed: tuple[tuple[Path, str], ...]


def segment_folder(
    model: SegmentsImages | Callable[[], SegmentsImages],
    inputs: str | os.PathLike | Iterable[str | os.PathLike],
    out: str | os.PathLike,
    classes: Any = None,
    *,
    recursive: bool = False,
    batch_size: int = 1,
    save: Sequence[str] = ("mask", "overlay", "json"),
    overlay_format: str = "png",
    overwrite: bool = False,
    threads: int = 2,
    settings: Mapping[str, Any] | None = None,
    task: str = "semantic",
    progress: bool | None = None,
    on_error: Callable[[Path, str], None] | None = None,
) -> FolderReport:
    """Segment image files and write each result as soon as it is there.

    A file is skipped when its result is there, whole, and made with the same settings. Files are
    read ahead and results written behind by threads; a few batches at most are in memory. When
    interrupted (Ctrl-C), what is finished is kept and the same call goes on from there.

    Where torch.distributed has connected several processes that all make this call, each segments
    its share of the files, and the report is that of all; results are those of one process.

    Args:
        model: something with ``segment``, or a function that makes it, called when first needed.
        inputs: files, folders and globs; see ``ovseg.apis.inputs.list_images``.
        out: folder for the results, with the sub-folders of the inputs; made when needed.
        classes: passed to ``model.segment``; None for the model's own.
        recursive: look into sub-folders of input folders.
        batch_size: images segmented together.
        save: any of "mask", "overlay", "sheet", "json"; the JSON is always written, as the sign
            that a result is whole.
        overlay_format: "png" or "jpg".
        overwrite: segment again what is done, and replace what is in the way.
        threads: threads that read, and as many that write.
        settings: what else makes the result (model name, precision, background, ...), plain
            values; when they differ from those of a result on disk, it is made again.
        task: "semantic", "panoptic" or "instance"; passed to ``model.segment``. Part of the
            settings.
        progress: show a progress bar; by default for more than one file.
        on_error: told of each file that fails, with the reason, as it happens; by default a
            warning is logged.

    Returns:
        What became of each file.

    Raises:
        FileNotFoundError: no input file at all.
        SaveError: ``out`` cannot be written to, or the disk is full.
        PeerError: another process failed.
        ValueError: ``save``, ``batch_size`` or ``threads`` is not possible.
    """
    unknown = sorted(set(save) - set(KINDS))
    if unknown:
        raise ValueError(f"save holds {unknown[0]!r}; possible are {', '.join(KINDS)}.")
    if batch_size < 1 or threads < 1:
        raise ValueError(f"batch_size and threads must be at least 1, not {batch_size}, {threads}.")
    out, peers = Path(out), Peers.of_this_run()
    settings = {"version": __version__, **(settings or {}), "classes": _describe(classes)}
    options = {}
    if task != "semantic":
        # What makes things of classes matters only where segments are told apart.
        options = {"task": task}
        things = getattr(classes, "things", None)
        settings.update(task=task, things=None if things is None else things.tolist())
    digest = _digest(settings)
    kinds = [kind for kind in KINDS if kind in save and kind != "json"]
    failed = _Failures(on_error)

    def plan() -> _Plan:
        jobs = plan_jobs(inputs, out, recursive, on_missing=failed.add)
        check_writable(out)
        todo: list[Job] = []
        skipped: list[Path] = []
        taken = {os.path.abspath(job.source) for job in jobs}
        for job in jobs:
            try:
                wanted = _names(job, kinds, overlay_format)
                _check_not_inputs(job, wanted, taken)
                done = not overwrite and is_done(job, digest, wanted)
            except (SaveError, OSError) as error:
                failed.add(job.source, str(error))
                continue
            if done:
                skipped.append(job.source)
            else:
                todo.append(job)
        return _Plan(len(jobs), tuple(todo), tuple(skipped))

    # Decided once: when a process looks, another may have finished something.
    planned = peers.agree(plan)
    own = peers.share(planned.todo)
    with peers.together():
        if own and not hasattr(model, "segment"):
            model = model()
    finished: list[Path] = []
    others = planned.jobs - len(planned.todo)  # there is nothing to be done for them
    show = (planned.jobs > 1 if progress is None else progress) and peers.rank == 0

    def write(job: Job, result: AnyResult) -> None:
        result.save(
            job.folder,
            job.stem,
            overlay_format=overlay_format,
            **{k: k in kinds for k in KINDS[:3]},
        )

    with (
        peers.together(),
        tqdm(total=others + len(own), initial=others, unit="image", disable=not show) as bar,
        ThreadPoolExecutor(threads) as readers,
        ThreadPoolExecutor(threads) as writers,  # left, also by Ctrl-C, when all is written
    ):
        pending: deque[tuple[Job, Future]] = deque()

        def collect(leave: int) -> None:
            while len(pending) > leave:
                job, future = pending.popleft()
                try:
                    future.result()
                    finished.append(job.source)
                except SaveError as error:
                    if getattr(error.__cause__, "errno", None) in _HOPELESS:
                        raise
                    failed.add(job.source, str(error))
                bar.update()

        def reject(job: Job, reason: str) -> None:
            failed.add(job.source, reason)
            bar.update()

        for batch in _batches(_read_ahead(own, readers, 2 * batch_size, reject), batch_size):
            for (job, image, source), result in _segment(model, batch, classes, options, reject):
                run = {"settings": settings, "digest": digest, "source": source}
                result = dataclasses.replace(
                    result,
                    name=str(job.source),
                    image=image.pixels,
                    info={**result.info, "run": run},
                )
                pending.append((job, writers.submit(write, job, result)))
            collect(leave=2 * threads)
        collect(leave=0)
    done = peers.collect(finished)
    if peers.count > 1:  # as one process would have done them
        place = {job.source: i for i, job in enumerate(planned.todo)}
        done.sort(key=place.__getitem__)
    return FolderReport(tuple(done), planned.skipped, tuple(peers.collect(failed.told)))


@dataclass(frozen=True)
class _Plan:
    """How many files there are, which of them are to be segmented, and which are done."""

    jobs: int
    todo: tuple[Job, ...]
    skipped: tuple[Path, ...]


class _Failures:
    """Files that fail, told of as it happens."""

    def __init__(self, on_error: Callable[[Path, str], None] | None) -> None:
        self.told: list[tuple[Path, str]] = []
        self._on_error = on_error

    def add(self, path: Path, reason: str) -> None:
        self.told.append((path, reason))
        if self._on_error is not None:
            self._on_error(path, reason)
        else:
            logging.getLogger("ovseg").warning("%s", reason)


_Loaded = tuple[Job, ImageInput, dict[str, Any]]


def _load(job: Job) -> _Loaded:
    data = job.source.read_bytes()
    return job, load_image(data, name=str(job.source)), source_of(job.source, data)


def _read_ahead(
    jobs: Iterable[Job], readers: ThreadPoolExecutor, ahead: int, reject: Callable[[Job, str], None]
) -> Iterator[_Loaded]:
    """Decoded images in order; those that cannot be decoded are rejected."""
    waiting: deque[tuple[Job, Future]] = deque()

    def pop() -> Iterator[_Loaded]:
        job, future = waiting.popleft()
        try:
            yield future.result()
        except (ImageError, MemoryError) as error:
            reject(job, str(error) or f"{job.source} does not fit the memory; make it smaller.")
        except OSError as error:
            reject(job, f"{job.source} cannot be read ({error.strerror or error}).")

    for job in jobs:
        waiting.append((job, readers.submit(_load, job)))
        if len(waiting) > ahead:
            yield from pop()
    while waiting:
        yield from pop()


def _batches(items: Iterable[_Loaded], size: int) -> Iterator[list[_Loaded]]:
    batch: list[_Loaded] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _segment(
    model: SegmentsImages,
    batch: list[_Loaded],
    classes: Any,
    options: dict[str, Any],
    reject: Callable[[Job, str], None],
) -> list[tuple[_Loaded, AnyResult]]:
    """Segment a batch; where that fails for one image or for lack of memory, one by one."""
    pixels = [image.pixels for _, image, _ in batch]
    try:
        results = model.segment(pixels, classes=classes, batch_size=len(batch), **options)
    except Exception as error:
        out_of_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
        if not out_of_memory and not isinstance(error, ImageError):
            raise
        if len(batch) > 1:
            return [
                done for one in batch for done in _segment(model, [one], classes, options, reject)
            ]
        job = batch[0][0]
        reason = "does not fit the memory; make it smaller" if out_of_memory else str(error)
        reject(job, f"{job.source}: {reason}")
        return []
    return list(zip(batch, results, strict=True))


def _describe(classes: Any) -> Any:
    """The classes for the settings: the digest of a vocabulary, else the names themselves."""
    digest = getattr(classes, "digest", None)
    if isinstance(digest, str):
        return digest
    return classes if classes is None or isinstance(classes, str) else list(classes)


def _digest(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _names(job: Job, kinds: Sequence[str], ending: str) -> set[str]:
    return {f"{job.stem}_{kind}.{'png' if kind == 'mask' else ending}" for kind in kinds}


def _check_not_inputs(job: Job, names: Iterable[str], inputs: set[str]) -> None:
    """An input must never be overwritten by a result."""
    for path in sorted(job.folder / name for name in names):
        if os.path.abspath(path) in inputs:
            raise SaveError(f"{path} is one of the inputs; choose another output folder.")
