"""Segment a video with words of your own, frame by frame.

python demo/video_demo.py clip.avi --classes person road sky --out painted.mp4
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import ovseg
from ovseg.apis.arguments import add_model_arguments, exit_code, parse_model_arguments, positive
from ovseg.apis.video import segment_video
from ovseg.errors import OvsegError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Segment a video with words of your own.")
    parser.add_argument("input", type=Path, metavar="VIDEO", help="any video OpenCV reads")
    add_model_arguments(parser)
    parser.add_argument("--out", type=Path, help="the .mp4 to write (default: VIDEO_overlay.mp4)")
    parser.add_argument("--max-frames", type=positive, metavar="N", help="stop after so many")
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    args = parse_args(argv)
    out = args.out or args.input.with_name(f"{args.input.stem}_overlay.mp4")
    try:
        if not args.input.exists():
            raise FileNotFoundError(f"{args.input} does not exist; check the path.")
        written = segment_video(
            ovseg.create_model(args.model, **args.model_options),
            args.input,
            out,
            args.vocabulary,
            batch_size=args.batch_size,
            max_frames=args.max_frames,
            task=args.task,
        )
    except KeyboardInterrupt:
        print(f"Interrupted; the frames segmented so far, if any, are in {out}.", file=sys.stderr)
        return 130
    except (OvsegError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code(error)
    print(f"{written} frames written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
