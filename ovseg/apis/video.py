"""A video in, the video with its regions painted out; colors and legend do not jump."""

from __future__ import annotations

import dataclasses
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from ovseg.apis.folder import SegmentsImages
from ovseg.errors import ImageError, SaveError

__all__ = ["segment_video"]


def segment_video(
    model: SegmentsImages,
    source: str | os.PathLike,
    out: str | os.PathLike,
    classes: Any = None,
    *,
    batch_size: int = 1,
    max_frames: int | None = None,
    alpha: float = 0.5,
    task: str = "semantic",
    progress: bool = True,
) -> int:
    """Segment every frame of a video and write the overlays as a video of the same speed.

    Frames are segmented each on its own, a batch at a time; sound is not kept. When interrupted
    (Ctrl-C), the frames so far are kept as a whole video.

    Args:
        model: see ``segment_folder``.
        source: a video file that OpenCV reads.
        out: the ``.mp4`` file to write; its folder is made when needed.
        classes: passed to ``model.segment``.
        batch_size: frames segmented together.
        max_frames: stop after so many.
        alpha: strength of the fill, 0..1.
        task: "semantic", "panoptic" or "instance"; passed to ``model.segment``.
        progress: show a progress bar.

    Returns:
        The number of frames written.

    Raises:
        FileNotFoundError: no such video.
        ImageError: the file is no video, or has no frame that can be read.
        SaveError: the output cannot be written, is the source, or does not end with .mp4.
    """
    source, out = Path(source), Path(out)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; check the path.")
    if out.suffix.lower() != ".mp4":
        raise SaveError(f"{out} must end with .mp4, the only kind of video that is written.")
    if out.exists() and out.samefile(source):
        raise SaveError(f"{out} is the video to be read; choose another output.")
    options = {} if task == "semantic" else {"task": task}
    capture = cv2.VideoCapture(str(source))
    temporary = out.parent / f".{secrets.token_hex(8)}.mp4"
    writer, written = None, 0
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = rate if np.isfinite(rate) and rate > 0 else 25.0
        total = int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0)) or None
        frames = itertools.islice(_frames(capture), max_frames)
        total = min(total, max_frames) if total and max_frames else total or max_frames
        with tqdm(total=total, unit="frame", disable=not progress) as bar:
            while batch := list(itertools.islice(frames, batch_size)):
                results = model.segment(batch, classes=classes, batch_size=len(batch), **options)
                for frame, result in zip(batch, results, strict=True):
                    picture = _even(_painted(frame, result, alpha))
                    if writer is None:
                        writer = _open(temporary, rate, picture.shape[1::-1], out)
                    writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
                    written += 1
                    bar.update()
        if not written:
            raise ImageError(f"{source} has no frame that OpenCV can read; convert it to mp4.")
    finally:
        capture.release()
        if writer is not None:
            writer.release()
            if written:
                os.replace(temporary, out)
            else:
                temporary.unlink(missing_ok=True)
    return written


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _painted(frame: np.ndarray, result: Any, alpha: float) -> np.ndarray:
    return dataclasses.replace(result, image=frame).overlay(alpha, steady=True)


def _even(picture: np.ndarray) -> np.ndarray:
    """The picture with even sides, as video codecs want them."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _open(temporary: Path, rate: float, size: tuple[int, int], out: Path) -> cv2.VideoWriter:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(
            f"Cannot write {out} ({error.strerror or error}); choose another output."
        ) from error
    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    if not writer.isOpened():
        raise SaveError(f"Cannot write {out}; choose another folder, or free space.")
    return writer
