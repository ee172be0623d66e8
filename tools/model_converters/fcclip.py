#!/usr/bin/env python
"""Convert a checkpoint of FC-CLIP's authors (detectron2) to this package's names.

    python tools/model_converters/fcclip.py fcclip_cocopan.pth fcclip_convnext-l.safetensors

Every tensor must be accounted for: those of the head are renamed, the frozen CLIP and the weights
of the loss are dropped and counted, anything else is an error. The result is a few dozen megabytes;
name it in `head.weights` of a config. The authors' file may be named there as well; it is then
read anew at every start.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from ovseg.apis.running import report_errors
from ovseg.encoders.weights import load_state_dict, sha256_of
from ovseg.errors import SaveError
from ovseg.segmentors.fcclip_checkpoint import from_authors


def convert(source: Path, target: Path) -> str:
    """Write the head of a checkpoint under our names.

    Args:
        source: the authors' checkpoint.
        target: a file ending in .safetensors, or in .pth for torch's format.

    Returns:
        What became of the tensors, in words.

    Raises:
        WeightsError: the checkpoint is missing, unsafe or another model's.
        SaveError: the result cannot be written.
    """
    state, report = from_authors(load_state_dict(source), str(source))
    meta = {"source": source.name, "sha256": sha256_of(source), "model": "FC-CLIP head"}
    part = target.with_name(target.name + ".part")
    try:
        if target.suffix == ".safetensors":
            save_file({k: v.contiguous() for k, v in state.items()}, part, metadata=meta)
        else:
            torch.save({"state_dict": state, "meta": meta}, part)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SaveError(f"{target} cannot be written: {error}") from error
    count = sum(tensor.numel() for tensor in state.values()) / 1e6
    return (
        f"{len(report.renamed)} tensors of the head renamed ({count:.1f} million numbers), "
        f"{len(report.frozen)} of the frozen CLIP and {len(report.unused)} of the loss left out: "
        f"{target}"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="the authors' checkpoint")
    parser.add_argument("target", type=Path, help="file to write: .safetensors or .pth")
    arguments = parser.parse_args(argv)
    return report_errors(
        lambda: print(convert(arguments.source, arguments.target)),
        "the same command begins anew",
    )


if __name__ == "__main__":
    sys.exit(main())
