"""Score a SAM on held-out scenes: mean IoU of the masks it gives for prompts made from the truth.

    python tools/nano/score_sam.py                       # the packaged weights on the benchmark
    python tools/nano/score_sam.py --split unseen        # things that no training picture held
    python tools/nano/score_sam.py --weights work_dirs/nano_sam/nano-sam-8.safetensors

A point is a pixel farthest from the mask's border; of the several masks SAM gives for it, the one
that it believes best counts. A box is the exact one. A mask prompt is a coarse and noisy version
of the truth (`sam_data.coarse_logits`), alone or with box and point. Box and mask prompts ask for
a single mask. Everything goes through the package's own class, as a method would use it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict

import cv2
import numpy as np
import torch
from sam_data import box_of, coarse_logits, inner_point, targets
from torch.nn import functional as F

from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import split_number
from ovseg.encoders.sam import SAM

#: The kinds of prompts, in the order of the columns that are printed.
KINDS = ("point", "point_best", "box", "mask", "mask_box_point")


def embed(encoder: SAM, image: np.ndarray) -> torch.Tensor:
    """The embedding (1, C, h, w) of an RGB picture (H, W, 3) uint8 of any size."""
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(encoder.device).float() / 255
    size = encoder.input_size(image.shape[:2])
    x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
    mean, std = (x.new_tensor(v).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    return encoder.encode((x - mean) / std).embedding


def answer(
    encoder: SAM, image: np.ndarray, truth: list[np.ndarray], rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Prompt one picture for some masks in every way.

    Args:
        encoder: a SAM.
        image: (H, W, 3) uint8 RGB.
        truth: P masks (H, W) bool.
        rng: makes the mask prompts.

    Returns:
        IoU (P,) by kind of prompt; and (n, 2) predicted and true IoU of every mask given.
    """
    shape, size = image.shape[:2], encoder.input_size(image.shape[:2])
    side = encoder.sam.prompt_encoder.mask_input_size[0]

    def coarse(mask):
        small = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
        square = np.zeros((encoder.image_size,) * 2, bool)
        square[: size[0], : size[1]] = small >= 0.5
        return coarse_logits(square, side, size, rng)

    points = torch.from_numpy(np.stack([inner_point(m, 1.0, rng) for m in truth]))[:, None]
    points = encoder.scale_coords(points, shape).to(encoder.device)
    points = points, points.new_ones(points.shape[:2], dtype=torch.long)
    boxes = torch.from_numpy(np.stack([box_of(m) for m in truth])).to(encoder.device)
    boxes = encoder.scale_coords(boxes, shape)
    masks = torch.from_numpy(np.stack([coarse(m) for m in truth]))[:, None].to(encoder.device)
    embedding = embed(encoder, image)
    wanted = torch.from_numpy(np.stack(truth)).to(encoder.device)

    def ask(multimask, **prompt):
        logits, quality = encoder.prompt_masks(embedding, multimask=multimask, **prompt)
        given = encoder.upscale(logits, shape, size) > 0
        both = (given & wanted[:, None]).flatten(2).sum(-1)
        iou = both / (given | wanted[:, None]).flatten(2).sum(-1)
        return iou.cpu(), quality.cpu()

    several, belief = ask(True, points=points)
    found = {
        "point": several.gather(1, belief.argmax(1, keepdim=True))[:, 0],
        "point_best": several.amax(1),
    }
    pairs = [torch.stack([belief.flatten(), several.flatten()], 1)]
    for kind, prompt in (
        ("box", {"boxes": boxes}),
        ("mask", {"masks": masks}),
        ("mask_box_point", {"masks": masks, "boxes": boxes, "points": points}),
    ):
        iou, belief = ask(False, **prompt)
        found[kind] = iou[:, 0]
        pairs.append(torch.stack([belief[:, 0], iou[:, 0]], 1))
    return {kind: iou.numpy() for kind, iou in found.items()}, torch.cat(pairs).numpy()


@torch.no_grad()
def score(encoder: SAM, split: str | int, scenes: int, size: int = 256) -> dict[str, float]:
    """Mean IoU over all things, and over all stuff regions, of scenes 0 to ``scenes - 1``.

    Args:
        encoder: a SAM.
        split: of the scenes, a name or number.
        scenes: how many.
        size: of the scenes in pixels.

    Returns:
        ``<kind>_things`` and ``<kind>_stuff`` for all `KINDS` (``point_best`` is the best of the
        several masks, whatever SAM believes); ``quality_correlation`` between predicted and true
        IoU over all masks given.
    """
    number = split_number(split)
    iou, pairs = defaultdict(list), []
    for i in range(scenes):
        scene = render((number, i), size, world="unseen" if split == "unseen" else "seen")
        for name, masks in zip(("things", "stuff"), targets(scene), strict=True):
            if masks:
                rng = np.random.default_rng([number, i, 5])
                found, more = answer(encoder, scene.image, masks, rng)
                pairs.append(more)
                for kind in KINDS:
                    iou[f"{kind}_{name}"].extend(found[kind])
    scores = {name: round(float(np.mean(values)), 4) for name, values in iou.items()}
    belief, true = np.concatenate(pairs).T
    alike = np.corrcoef(belief, true)[0, 1] if min(belief.std(), true.std()) > 0 else 0.0
    return {**scores, "quality_correlation": round(float(alike), 4)}


@torch.no_grad()
def seconds_per_scene(encoder: SAM, prompts: int = 8, repeats: int = 10) -> float:
    """Time to embed a 256-pixel scene and answer some box prompts, masks enlarged; the median."""
    image = render((split_number("check"), 0), 256).image
    boxes = encoder.scale_coords(torch.tensor([[40.0, 40.0, 160.0, 180.0]]), (256, 256))
    boxes = boxes.to(encoder.device).expand(prompts, -1)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        logits, _ = encoder.prompt_masks(embed(encoder, image), boxes=boxes, multimask=False)
        encoder.upscale(logits, (256, 256), encoder.input_size((256, 256))).cpu()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano-sam-8")
    parser.add_argument("--weights", help="a file; without one, those of the package")
    parser.add_argument("--split", default="val")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--size", type=int, default=256, help="of the scenes in pixels")
    parser.add_argument(
        "--image-size", type=int, help="SAM's input in pixels; by default the model's own"
    )
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(argv)
    pretrained = None if args.weights else "ovseg"
    encoder = SAM(
        args.model, pretrained=pretrained, weights=args.weights, image_size=args.image_size
    ).to(args.device)
    scores = score(encoder, args.split, args.scenes, args.size)
    print(json.dumps(scores, indent=2))
    print(f"embedding and 8 prompts: {1000 * seconds_per_scene(encoder):.0f} ms a scene")


if __name__ == "__main__":
    main()
