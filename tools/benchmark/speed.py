"""How near a method comes to the speed of its encoders, and what memory it takes.

    python tools/benchmark/speed.py maskclip_vit-b16 --size 683 1024 --classes 150 --random

In one run, on one picture:

- the floor: the forward passes of all frozen encoders, on exactly the tensors that the method
  hands them, and nothing else (the last block of CLIP as CLIP runs it; SAM's mask decoder counts);
- the whole method, from a uint8 picture to labels at its size, and the ratio of the two;
- a plain loop of the authors' steps, as one would write it down: window by window, every class
  enlarged to all pixels, softmax, argmax;
- of each the most memory held above the weights.

With ``--precision bf16`` (or fp16) a fourth part, ``fp32``, is the method with the same weights and
words in float32; how many times as fast it became is told, and which share of its labels stayed.

With several vocabularies (``--classes 150 847``) the method is also run with each of them in turns,
and what they cost beside the first is told.

The first run of the method, which is not counted, is told as well (``first``, in seconds of the
processor), with what its forward passes took; with ``--repeats 0`` it is all that is done.

All are taken in turns, several times; medians are told. ``cpu`` is the time of this process on all
of its threads, which other programs of a busy machine hardly change; ``wall`` is what passed
meanwhile. On a GPU work is waited for before and behind what is timed, nowhere else.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from meter import Meter
from mmseg.structures import SegDataSample
from PIL import Image
from plain_loop import plain_loop
from torch import nn
from torch.nn import functional as F

import ovseg
from ovseg.datasets.scenes.render import render
from ovseg.dense import Picture, PlainAttention
from ovseg.encoders import CLIPViT
from ovseg.text import Vocabulary

#: Methods of encoders that are forward passes.
_PASSES = ("tokens", "features", "encode", "prompt_masks", "multiscale")
_PARTS = ("floor", "whole", "plain", "fp32")


# -- the floor -----------------------------------------------------------------------------------


def encoders_of(model: nn.Module) -> dict[str, nn.Module]:
    """The frozen models whose forward passes are the floor."""
    return {"image_encoder": model.image_encoder, **dict(getattr(model, "encoders", {}))}


@dataclasses.dataclass(frozen=True)
class Pass:
    """A forward pass of an encoder.

    Attributes:
        name: of the encoder and its method.
        again: does the same once more.
        seconds: of the processor that it took; on a GPU, to be asked for.
    """

    name: str
    again: Callable[[], Any]
    seconds: float


@contextmanager
def recorded(model: nn.Module) -> Iterator[list[Pass]]:
    """Forward passes of encoders while the context is open, to be done again."""
    calls: list[Pass] = []
    patched = []
    for name, encoder in encoders_of(model).items():
        for method in _PASSES:
            original = getattr(encoder, method, None)
            if original is None:
                continue

            def call(*args, original=original, encoder=encoder, name=name, method=method, **kw):
                began = time.process_time()
                found = original(*args, **kw)
                seconds = time.process_time() - began
                again = _again(encoder, original, args, kw)
                calls.append(Pass(f"{name}.{method}", again, seconds))
                return found

            setattr(encoder, method, call)
            patched.append((encoder, method))
    try:
        yield calls
    finally:
        for encoder, method in patched:
            delattr(encoder, method)


def _again(encoder: nn.Module, original: Callable, args: tuple, kw: dict) -> Callable[[], Any]:
    """The same pass; one of CLIP that stops before the last block goes to the end."""
    whole = isinstance(encoder, CLIPViT) and kw.get("before", 1) == 1 and len(args) == 1

    def again():
        with torch.no_grad():
            found = original(*args, **kw)
            if whole:
                tokens = PlainAttention().read(encoder.last_block, found)
                found = encoder.project(tokens[:, found.num_prefix :])
        return found

    return again


# -- words that are heard ------------------------------------------------------------------------

#: What of a model knows its words.
_HEARD = ("vocabulary", "query_to_class", "text", "protocol")


@torch.no_grad()
def hear_words(model: nn.Module, image: np.ndarray, count: int) -> None:
    """Words for a model of random weights: what patches of the picture look like, less their mean.

    Random towers make all patches alike and no word resembles any of them; every pixel would get
    one class, and nothing would be refined. The logit scale is set so that the best class of a
    typical patch has half of the probability.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    data = model.data_preprocessor({"inputs": [tensor], "data_samples": None}, False)
    picture = Picture(data["inputs"][0], data["originals"][0])
    ((_, features),) = model.read([picture])
    if model.splice:
        features = [model._project(tokens[None])[0] for tokens in features]
    units = F.normalize(torch.cat([part.flatten(0, 1) for part in features]), dim=-1)
    centered = F.normalize(units - units.mean(0), dim=-1)
    order = torch.linspace(0, len(units) - 1, count).long()
    words = centered[order.to(centered.device)]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(words.shape, generator=generator).to(words.device)
    words = F.normalize(words + 0.02 * noise / words.shape[1] ** 0.5, dim=-1)
    model.vocabulary = Vocabulary.load([f"class {i}" for i in range(count)])
    model.query_to_class = torch.arange(count, device=words.device)
    model.text = words
    some = units[:: max(1, len(units) // 256)] @ words.T
    scale = 1.0
    while float((some * scale).softmax(1).amax(1).median()) < 0.5 and scale < 1e5:
        scale *= 1.25
    model.protocol = dataclasses.replace(model.protocol, logit_scale=scale)


def words_for(
    model: nn.Module, args: argparse.Namespace, image: np.ndarray, classes: str
) -> Callable[[nn.Module], Any]:
    """Gives any model of the same weights a vocabulary, or as many words as are asked for."""
    if not args.random or not hasattr(model, "protocol"):
        names = [f"class {i}" for i in range(int(classes))] if classes.isdigit() else classes
        return lambda model: model.set_vocabulary(names)
    hear_words(model, image, int(classes) if classes.isdigit() else len(Vocabulary.load(classes)))
    heard = {name: getattr(model, name) for name in _HEARD}

    def give(model: nn.Module) -> None:
        for name, value in heard.items():
            setattr(model, name, value)

    return give


# -- the report ----------------------------------------------------------------------------------


def labels_of(model: nn.Module, image: np.ndarray) -> torch.Tensor:
    """The whole method: (H, W) labels of an image (H, W, 3) uint8."""
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    sample = SegDataSample(metainfo={"ori_shape": image.shape[:2]})
    data = model.data_preprocessor({"inputs": [tensor], "data_samples": [sample]}, False)
    return model.predict(**data)[0].pred_sem_seg.data[0]


def in_turns(
    model: nn.Module,
    image: np.ndarray,
    words: Iterable[Callable[[nn.Module], Any]],
    repeats: int,
) -> list[float]:
    """What the whole method costs with some words beside the first ones, each in every turn."""
    meter = Meter(next(model.parameters()).device)
    clock = "wall" if meter.device.type == "cuda" else "cpu"
    turns = []
    for _ in range(repeats):
        turns.append([])
        for give in words:
            give(model)
            turns[-1].append(meter.turn(lambda: labels_of(model, image))[clock])
    return [
        statistics.median(one / first for first, one in pairs)
        for pairs in ([(turn[0], turn[i]) for turn in turns] for i in range(len(turns[0])))
    ]


def measure(
    model: nn.Module,
    image: np.ndarray,
    repeats: int,
    parts: Iterable[str] = _PARTS,
    exact: nn.Module | None = None,
) -> dict[str, Any]:
    """Everything about a model that has its words, on one picture.

    Args:
        model: the model.
        image: (H, W, 3) uint8.
        repeats: turns.
        parts: what is timed.
        exact: the same in float32, if the model is in half precision.
    """
    meter = Meter(next(model.parameters()).device)

    def whole():
        return labels_of(model, image)

    with recorded(model) as calls:
        labels_found: list[torch.Tensor] = []
        turn = meter.turn(lambda: labels_found.append(whole()))
        (labels,) = labels_found
        first = {"whole": turn["cpu"], "peak_mib": turn["peak_mib"]}
    for one in calls:
        first[one.name] = first.get(one.name, 0.0) + one.seconds

    def floor():
        for one in calls:
            one.again()

    plain_labels: deque[torch.Tensor] = deque(maxlen=1)
    exact_labels: deque[torch.Tensor] = deque(maxlen=1)

    def plain():
        plain_labels.append(plain_loop(model, image))

    functions = {"floor": floor, "whole": whole, "plain": plain}
    if exact is not None:
        functions["fp32"] = lambda: exact_labels.append(labels_of(exact, image))
    functions = {part: of for part, of in functions.items() if part in parts and repeats > 0}
    report: dict[str, Any] = {"passes": _counted(one.name for one in calls), "parts": {}}
    if meter.device.type == "cpu":
        report["first"] = first
    taken: dict[str, list[dict[str, float | None]]] = {part: [] for part in functions}
    for _ in range(repeats):
        for part, function in functions.items():
            taken[part].append(meter.turn(function))
    if "plain" in functions:  # is it the same method?
        agree = (plain_labels[-1].to(labels.device) == labels).float().mean()
        report["plain_agreement"] = float(agree)
    if "fp32" in functions:
        report["fp32_agreement"] = float((exact_labels[-1] == labels).float().mean())
    for part in functions:
        peaks = [turn["peak_mib"] for turn in taken[part]]
        entry: dict[str, Any] = {"peak_mib": None if None in peaks else max(peaks)}
        for clock in ("wall", "cpu"):
            every = [turn[clock] for turn in taken[part]]
            entry[clock] = statistics.median(every)
            entry[f"{clock}_all"] = every
        report["parts"][part] = entry
    clock = "wall" if meter.device.type == "cuda" else "cpu"
    report["clock"] = clock
    base = report["parts"].get("floor")
    for part, entry in report["parts"].items():
        if base is not None and part != "floor":
            entry["ratio"] = entry[clock] / base[clock]
            pairs = zip(entry[f"{clock}_all"], base[f"{clock}_all"], strict=True)
            entry["ratio_of_turns"] = statistics.median(one / other for one, other in pairs)
    if {"whole", "fp32"} <= set(report["parts"]):
        whole_of, exact_of = (report["parts"][part][clock] for part in ("whole", "fp32"))
        report["times_as_fast_as_fp32"] = exact_of / whole_of
    report["classes_found"] = len(labels.unique())
    return report


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def table(reports: list[dict[str, Any]]) -> str:
    """Markdown, a line for each method."""
    lines = [
        "| method | size | classes | precision | floor (s) | whole (s) | ratio | "
        "whole's peak (MiB) | plain loop (s) | its ratio | its peak (MiB) |",
        "|---" * 11 + "|",
    ]
    for report in reports:
        parts, clock = report["parts"], report["clock"]

        def told(part: str, key: str, digits: int, parts=parts) -> str:
            value = parts.get(part, {}).get(key)
            return "" if value is None else f"{value:.{digits}f}"

        lines.append(
            f"| {report['model']} | {report['size'][0]} x {report['size'][1]} "
            f"| {report['classes']} | {report['precision']} | {told('floor', clock, 3)} "
            f"| {told('whole', clock, 3)} | {told('whole', 'ratio', 3)} "
            f"| {told('whole', 'peak_mib', 0)} | {told('plain', clock, 3)} "
            f"| {told('plain', 'ratio', 3)} | {told('plain', 'peak_mib', 0)} |"
        )
    return "\n".join(lines) + "\n"


def picture_of(size: tuple[int, int], path: str | None) -> np.ndarray:
    """A photograph brought to a size, or a drawn scene: (H, W, 3) uint8."""
    if path is None:
        return render((5, 0), size).image
    with Image.open(path) as image:
        return np.array(image.convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC))


def build(name: str, args: argparse.Namespace, precision: str | None = None) -> nn.Module:
    """A model that has no words yet."""
    overrides: dict[str, Any] = json.loads(args.override)
    if args.random:
        overrides = {"templates": "none", "text_cache": False, **overrides}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ovseg.create_model(
            name,
            pretrained=None if args.random else True,
            device=args.device,
            precision=precision,
            **overrides,
        ).model
    if args.no_refiner:
        model.refiner = None
    if args.compile:
        model.compile_encoders()
    return model


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One report for each model and vocabulary."""
    if args.threads:
        torch.set_num_threads(args.threads)
    image = picture_of(tuple(args.size), args.image)
    reports = []
    for name in args.models:
        model, exact = build(name, args), None
        words = [words_for(model, args, image, classes) for classes in args.classes]
        if args.precision not in (None, "fp32"):
            model, exact = build(name, args, args.precision), model
            model.load_state_dict(exact.state_dict())
        shown = name + (" without refinement" if args.no_refiner else "")
        for give in words:
            for one in (model, exact):
                if one is not None:
                    give(one)
            report = {
                "model": shown,
                "size": list(image.shape[:2]),
                "classes": len(model.vocabulary),
                "precision": args.precision or "fp32",
                "random_weights": args.random,
                "compiled": args.compile,
                "device": str(next(model.parameters()).device),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "ovseg": ovseg.__version__,
                "repeats": args.repeats,
                **measure(model, image, args.repeats, args.parts, exact),
            }
            reports.append(report)
            _write(args.out, reports)
            if args.repeats == 0:
                print(name, json.dumps(report["first"]), flush=True)
            print(table([report]).splitlines()[-1], flush=True)
            if "times_as_fast_as_fp32" in report:
                times, same = report["times_as_fast_as_fp32"], report["fp32_agreement"]
                print(f"{times:.2f} times as fast as in float32, {same:.2%} of its labels")
        if len(words) > 1 and args.repeats > 0 and "whole" in args.parts:
            costs = in_turns(model, image, words, args.repeats)
            own = reports[-len(words) :]
            for report, cost in zip(own, costs, strict=True):
                report["times_first_vocabulary"] = cost
                print(f"{shown}: {report['classes']} classes {cost:.3f} times {own[0]['classes']}")
            _write(args.out, reports)
    return reports


def _write(out: Path | None, reports: list[dict[str, Any]]) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".json").write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")
        out.with_suffix(".md").write_text(table(reports), encoding="utf-8")


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names of models, or paths of configs")
    parser.add_argument("--size", type=int, nargs=2, default=(683, 1024), metavar=("H", "W"))
    parser.add_argument(
        "--classes", nargs="+", default=["150"], help="vocabularies, or numbers of made-up classes"
    )
    parser.add_argument("--image", help="a photograph; by default a drawn scene")
    parser.add_argument("--random", action="store_true", help="random weights")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--device", help="by default a GPU if there is one")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--threads", type=int, help="threads of torch and of naming")
    parser.add_argument("--no-refiner", action="store_true", help="leave out step 5")
    parser.add_argument("--compile", action="store_true", help="compile the encoders")
    parser.add_argument("--override", default="{}", help="JSON: anything of the model's config")
    parser.add_argument("--out", type=Path, help="where to write OUT.json and OUT.md")
    reports = run(parser.parse_args(argv))
    print(table(reports))
    return reports


if __name__ == "__main__":
    main()
