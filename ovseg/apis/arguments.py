"""What the programs of ``demo/`` have in common on their command lines."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from ovseg.apis.presets import list_protocols, protocol_preset
from ovseg.errors import ConfigError, VocabularyError, WeightsError
from ovseg.text import Vocabulary, list_vocabularies
from ovseg.text.builtin import is_builtin

__all__ = [
    "add_model_arguments",
    "exit_code",
    "parse_model_arguments",
    "positive",
    "read_classes",
    "share",
]


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to look for, and with which model."""
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
        "--task",
        choices=("semantic", "panoptic", "instance"),
        default="semantic",
        help="semantic: a class for each pixel; panoptic: a segment for each pixel, things told "
        "apart; instance: things that may overlap. The last two need a model that can, as the "
        "FC-CLIP ones (default: %(default)s)",
    )
    parser.add_argument(
        "--stuff",
        nargs="*",
        metavar="WORD",
        help="classes that are regions and not things, for panoptic and instance, beside those "
        "that the built-in lists know as such (sky, grass, ...)",
    )
    parser.add_argument(
        "--model",
        default="maskclip_vit-b16",
        help="name of the model, see ovseg.list_models(); maskclip_nano needs no download and "
        "knows the words of the procedural scenes only (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="P",
        help="pixels whose best class is less probable than this become background",
    )
    parser.add_argument(
        "--protocol",
        choices=list_protocols(),
        help="size, windows and scale of this preset in place of the model's own",
    )
    parser.add_argument("--weights", metavar="FILE", help="CLIP weights to use, a local file")
    parser.add_argument(
        "--random-weights",
        action="store_true",
        help="load no weights at all: to try the plumbing without a download",
    )
    parser.add_argument("--batch-size", type=positive, default=1, metavar="N")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps, ... (default: the best there is)")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"))


def parse_model_arguments(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse, and add ``vocabulary`` and ``model_options`` (arguments of ``create_model``).

    A vocabulary that cannot be used ends the program with exit code 2, as other usage errors do.
    """
    args = parser.parse_args(argv)
    try:
        background = [] if args.threshold and args.background is None else args.background
        args.vocabulary = read_classes(args.classes, background)
    except (VocabularyError, FileNotFoundError) as error:
        parser.error(f"--classes: {error}")
    try:
        args.vocabulary = args.vocabulary.with_things(stuff=args.stuff)
    except VocabularyError as error:
        parser.error(f"--stuff: {error}")
    if args.weights and args.random_weights:
        parser.error("--weights and --random-weights exclude each other")
    given = {
        "device": args.device,
        "precision": args.precision,
        "weights": args.weights,
        "pretrained": False if args.random_weights else None,
        "protocol": _protocol(args),
    }
    args.model_options = {name: value for name, value in given.items() if value is not None}
    return args


def _protocol(args: argparse.Namespace) -> str | dict | None:
    if not args.threshold:
        return args.protocol
    preset = protocol_preset(args.protocol) if args.protocol else {}
    return {**preset, "prob_threshold": args.threshold}


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
    words_given = (list(background),) if background else ()
    return vocabulary.with_background(*words_given)


def exit_code(error: Exception) -> int:
    """Of a run that could not go on: 2 where the call was wrong, 1 where the machine failed."""
    usage = (ConfigError, VocabularyError, FileNotFoundError)
    return 2 if isinstance(error, usage) and not isinstance(error, WeightsError) else 1


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def share(text: str) -> float:
    """A number from 0 up to, but not, 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError("must be at least 0 and less than 1")
    return value
