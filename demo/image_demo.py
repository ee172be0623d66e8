"""Segment pictures with words of your own.

python demo/image_demo.py photo.jpg --classes cat sofa wall --out results
python demo/image_demo.py photos/ "more/*.png" --classes ade20k-150 --model maskclip_vit-b16
python demo/image_demo.py photo.jpg --classes cat sofa wall --model fcclip_nano --task panoptic
torchrun --nproc_per_node 2 demo/image_demo.py photos/ --classes cat sofa wall
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

import ovseg
from ovseg.apis.arguments import (
    add_model_arguments,
    exit_code,
    parse_model_arguments,
    positive,
)
from ovseg.apis.folder import KINDS, segment_folder
from ovseg.apis.launching import add_launcher_argument, end_processes, start_processes
from ovseg.apis.peers import Peers
from ovseg.errors import OvsegError

WAIT = 7 * 24 * 3600  # seconds
EXIT_CODES = "0 all done, 1 some failed, 2 cannot start, 130 interrupted (run again to go on)"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Segment pictures with words of your own.",
        epilog=f"Exit codes: {EXIT_CODES}.",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="images, folders or globs")
    add_model_arguments(parser)
    parser.add_argument("--out", type=Path, default=Path("results"), help="default: %(default)s")
    parser.add_argument(
        "--save",
        nargs="+",
        choices=KINDS,
        default=["mask", "overlay", "json"],
        help="what to write (default: mask overlay json; the JSON is always written)",
    )
    parser.add_argument("--recursive", action="store_true", help="look into sub-folders")
    parser.add_argument("--overwrite", action="store_true", help="make again what is there")
    parser.add_argument(
        "--threads", type=positive, default=2, metavar="N", help="threads for reading and writing"
    )
    add_launcher_argument(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    args = parse_args(argv)
    try:
        # A process may wait long for the last one: their pictures differ in size.
        start_processes(args.launcher, backend="gloo", timeout=WAIT)
        report = segment_folder(
            lambda: ovseg.create_model(args.model, **args.model_options),
            args.inputs,
            args.out,
            args.vocabulary,
            recursive=args.recursive,
            batch_size=args.batch_size,
            save=args.save,
            overwrite=args.overwrite,
            threads=args.threads,
            task=args.task,
            settings={"model": args.model, **args.model_options},
            on_error=lambda path, reason: tqdm.write(f"failed: {reason}", file=sys.stderr),
        )
    except KeyboardInterrupt:
        print("Interrupted; what is finished is kept, run again to go on.", file=sys.stderr)
        return 130
    except (OvsegError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code(error)
    finally:
        first = Peers.of_this_run().rank == 0
        end_processes()
    if not first:
        return 1 if report.failed else 0
    print(
        f"{len(report.done)} segmented, {len(report.skipped)} there already, "
        f"{len(report.failed)} failed; results are in {args.out}"
    )
    for _, reason in report.failed:
        print(f"  failed: {reason}", file=sys.stderr)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
