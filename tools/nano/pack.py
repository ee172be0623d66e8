"""Put what tools/train.py has trained, a head or a tower, beside the other embedded weights.

    python tools/train.py configs/fcclip/fcclip_nano_scenes_train.py
    python tools/nano/pack.py fcclip work_dirs/fcclip_nano_scenes_train/iter_3400.pth \\
        --hardware "cpu, 2 threads"

Training writes checkpoints that can be resumed; this takes from one what was trained (the running
means of the weights where there are any), in half precision, and writes the record of how it was
made. ``--scores`` adds the scores of runs of ``tools/test.py`` to it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from safetensors.torch import load_file, save_file

from ovseg.encoders.changes import save_changes
from ovseg.encoders.sources import nano_file
from ovseg.utils.checkpoints import load_checkpoint


@dataclass(frozen=True)
class Head:
    """Something that is trained and shipped.

    Attributes:
        name: of the packaged files.
        config: it is trained by.
        parts: how the names of its weights begin in a checkpoint.
        prefix: what they lose in the package.
        changes: packaged model that was trained further, of which only what changed is packed.
    """

    name: str
    config: str
    parts: tuple[str, ...]
    prefix: str = ""
    changes: str | None = None


HEADS = {
    "fcclip": Head(
        "nano-fcclip",
        "configs/fcclip/fcclip_nano_scenes_train.py",
        ("pixel_decoder.", "decoder."),
    ),
    "dinoiser": Head(
        "nano-dinoiser-8",
        "configs/clip_dinoiser/clip_dinoiser_nano_scenes_train.py",
        ("head.",),
        "head.",
    ),
    "clipself": Head(
        "nano-vit-8-clipself",
        "configs/clipself/clipself_nano_scenes_train.py",
        ("student.",),
        "student.",
        changes="nano-vit-8",
    ),
}


def pack(
    head: Head, checkpoint: Path, out: Path, hardware: str, scores: Sequence[Path] = ()
) -> tuple[Path, Path]:
    """Write weights and record of a checkpoint.

    Args:
        head: what was trained.
        checkpoint: of ``tools/train.py``.
        out: folder, made if it is not there.
        hardware: that it was trained on.
        scores: ``results.json`` of runs of ``tools/test.py``.

    Returns:
        Both paths.

    Raises:
        WeightsNotFoundError: There is no such file.
        SystemExit: It holds something else.
    """
    saved = load_checkpoint(checkpoint)
    meta, state = saved["meta"], saved["state_dict"]
    foreign = [k for k in state if not k.startswith(head.parts)]
    if foreign:
        raise SystemExit(f"{checkpoint} holds {foreign[0]}, which is no part of {head.name}")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{head.name}.safetensors"
    packed = {k.removeprefix(head.prefix): v.half().contiguous() for k, v in state.items()}
    if head.changes is None:
        save_file(packed, path)
    else:
        whole = nano_file(f"{head.changes}.safetensors")
        save_changes(path, {**load_file(whole), **packed}, whole)
    config = Config.fromstring(meta["cfg"], ".py")
    record = {
        "recipe": f"tools/train.py {head.config}",
        "iterations": meta["iter"],
        "images": meta["position"],  # by all processes together
        "optimizer": dict(config.optim_wrapper.optimizer),
        "seed": meta["seed"],
        "frozen": meta["frozen"],
        "parameters": sum(v.numel() for v in load_file(path).values()),
        "seconds": round(_seconds(saved)),
        "hardware": hardware,
        "versions": {"ovseg": meta["ovseg_version"], "torch": meta["torch_version"]},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "scores": {},
    }
    for file in scores:
        run = json.loads(file.read_text(encoding="utf-8"))
        record["scores"].setdefault(run["dataset"]["type"], {}).update(run["scores"])
    record_path = out / f"{head.name}.record.json"
    record_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path, record_path


def _seconds(saved: dict) -> float:
    """What the iterations took, all together."""
    history = saved["message_hub"]["log_scalars"]["train/time"]
    return float(history.data[0].sum())


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("head", choices=HEADS)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, help="a folder (work_dirs/nano_<head>)")
    parser.add_argument("--hardware", required=True, help="that it was trained on, in words")
    parser.add_argument("--scores", type=Path, nargs="*", default=(), help="results.json of tests")
    args = parser.parse_args(argv)
    out = args.out or Path("work_dirs") / f"nano_{args.head}"
    for path in pack(HEADS[args.head], args.checkpoint, out, args.hardware, args.scores):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
