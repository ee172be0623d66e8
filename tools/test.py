#!/usr/bin/env python
"""Score the model of a config on its dataset.

    python tools/test.py configs/maskclip/maskclip_vit-b16_ade20k-150.py --out masks
    python tools/test.py configs/sclip/sclip_vit-b16_voc-21.py --protocol trident-576
    bash tools/dist_test.sh configs/maskclip/maskclip_vit-b16_ade20k-150.py 4

Interrupted runs go on with --resume. Exit code 2 and one line say what to mend.
"""

from __future__ import annotations

import argparse
import sys

from ovseg.apis.presets import list_protocols
from ovseg.apis.running import add_common_arguments, load_config, report_errors
from ovseg.apis.testing import test_model


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description="Score the model of a config on its dataset.")
    add_common_arguments(parser)
    parser.add_argument(
        "checkpoint", nargs="?", metavar="CHECKPOINT", help="trained weights, if the model has any"
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="size, windows and scale of this preset in place of the config's, whose thresholds "
        f"stay: {', '.join(list_protocols())}",
    )
    parser.add_argument("--out", metavar="DIR", help="save label maps (PNGs of class indices)")
    parser.add_argument("--show-dir", metavar="DIR", help="save overlays with a legend")
    parser.add_argument(
        "--out-panoptic",
        metavar="DIR",
        help="save segments: PNGs of ids in DIR and DIR.json, COCO's layout of panoptic results",
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the images an interrupted run has finished"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    arguments = parse_args(argv)

    def run() -> None:
        test_model(
            load_config(arguments),
            arguments.checkpoint,
            out_dir=arguments.out,
            show_dir=arguments.show_dir,
            panoptic_dir=arguments.out_panoptic,
            resume=arguments.resume,
        )

    return report_errors(run)


if __name__ == "__main__":
    sys.exit(main())
