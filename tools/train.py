#!/usr/bin/env python
"""Train the model of a config.

python tools/train.py CONFIG
bash tools/dist_train.sh CONFIG 8 --amp
"""

from __future__ import annotations

import argparse
import sys

from ovseg.apis.running import add_common_arguments, load_config, report_errors
from ovseg.apis.training import train_model


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description="Train the model of a config.")
    add_common_arguments(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="CHECKPOINT",
        help="go on from this checkpoint, or from the newest one in the work dir",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision (needs a GPU)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    arguments = parse_args(argv)

    def run() -> None:
        train_model(load_config(arguments), resume=arguments.resume, amp=arguments.amp)

    return report_errors(run)


if __name__ == "__main__":
    sys.exit(main())
