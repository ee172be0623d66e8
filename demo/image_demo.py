"""Segment pictures with words of your own.

python demo/image_demo.py photo.jpg --classes cat sofa wall --out results
python demo/image_demo.py photos/ "more/*.png" --classes ade20k-150 --model maskclip_vit-b16
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

import ovseg
from ovseg.apis.folder import KINDS, segment_folder
from ovseg.errors import ConfigError, OvsegError, VocabularyError, WeightsError
from ovseg.text import Vocabulary, list_vocabularies
from ovseg.text.builtin import is_builtin

EXIT_CODES = "0 all done, 1 some failed, 2 cannot start, 130 interrupted (run again to go on)"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Segment pictures with words of your own.",
        epilog=f"Exit codes: {EXIT_CODES}.",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="images, folders or globs")
    parser.add_argument(
        "--classes",
        nargs="+",
        required=True,
        metavar="WORD",
        help="class names (synonyms separated by ';'), or one .txt or .json file, or one of the "
        f"built-in lists: {', '.join(list_vocabularies())}",
    )
    parser.add_argument(
        "--background",
        nargs="*",
        metavar="WORD",
        help="add a class 'background', asked for by these words (by that word when none is given)",
    )
    parser.add_argument(
        "--model",
        default="maskclip_vit-b16",
        help="name of the model, see ovseg.list_models(); maskclip_nano needs no download and "
        "knows the words of the procedural scenes only (default: %(default)s)",
    )
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
    parser.add_argument("--batch-size", type=_positive, default=1, metavar="N")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps, ... (default: the best there is)")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"))
    parser.add_argument(
        "--threads", type=_positive, default=2, metavar="N", help="threads for reading and writing"
    )
    args = parser.parse_args(argv)
    try:
        args.vocabulary = read_classes(args.classes, args.background)
    except (VocabularyError, FileNotFoundError) as error:
        parser.error(f"--classes: {error}")
    return args


def read_classes(words: Sequence[str], background: Sequence[str] | None) -> Vocabulary:
    """The vocabulary meant by ``--classes`` and ``--background``.

    Raises:
        VocabularyError: the words cannot be used.
    """
    only = words[0] if len(words) == 1 else ""
    if only.lower().endswith((".txt", ".json")) or is_builtin(only):
        vocabulary = Vocabulary.load(only)
    else:
        near = difflib.get_close_matches(only, list_vocabularies(), n=1, cutoff=0.8)
        if near:
            raise VocabularyError(f"there is no list {only!r}; did you mean {near[0]!r}?")
        vocabulary = Vocabulary.load(list(words))
    if background is None:
        return vocabulary
    return (
        vocabulary.with_background(list(background))
        if background
        else (vocabulary.with_background())
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    args = parse_args(argv)
    options: dict[str, Any] = {
        key: value
        for key, value in (("device", args.device), ("precision", args.precision))
        if value is not None
    }
    try:
        report = segment_folder(
            lambda: ovseg.create_model(args.model, **options),
            args.inputs,
            args.out,
            args.vocabulary,
            recursive=args.recursive,
            batch_size=args.batch_size,
            save=args.save,
            overwrite=args.overwrite,
            threads=args.threads,
            settings={"model": args.model, "precision": args.precision},
            on_error=lambda path, reason: tqdm.write(f"failed: {reason}", file=sys.stderr),
        )
    except KeyboardInterrupt:
        print("Interrupted; what is finished is kept, run again to go on.", file=sys.stderr)
        return 130
    except (OvsegError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        usage = (ConfigError, VocabularyError, FileNotFoundError)
        return 2 if isinstance(error, usage) and not isinstance(error, WeightsError) else 1
    print(
        f"{len(report.done)} segmented, {len(report.skipped)} there already, "
        f"{len(report.failed)} failed; results are in {args.out}"
    )
    for _, reason in report.failed:
        print(f"  failed: {reason}", file=sys.stderr)
    return 1 if report.failed else 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
