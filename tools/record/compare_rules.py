"""Compare MaskCLIP, SCLIP, ClearCLIP, NACLIP and CLIPtrase with their authors' public code.

Both run on the same drawn weights and words, in float32 on the CPU, under the authors' protocol.
Compared are the logits of every window before they are enlarged, and the labels. `--record` writes
what the tests keep: a part of the authors' results on drawn pictures.

    PYTHONPATH=. python tools/record/compare_rules.py sclip --code CODE --photos a.jpg b.jpg
    PYTHONPATH=. python tools/record/compare_rules.py sclip --code CODE --record tests/data

CODE is a checkout of chongzhou96/MaskCLIP, wangf3014/SCLIP, mc-lan/ClearCLIP, sinahmr/NACLIP or
leaves162/CLIPtrase. The last needs more packages than ours: einops, scikit-learn and matplotlib.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ovseg.dense import Picture
from ovseg.utils.images import decode_image
from tests.authors import CASES, PICTURES, build_case, keep, run_case
from tests.drawn import SIZES, draw_picture


def ours(model, paths: list[str]) -> tuple[list, list]:
    """The logits of all windows and the labels, picture by picture."""
    found = [run_case(model, read(path)) for path in paths]
    return [logits for logits, _ in found], [labels for _, labels in found]


def read(path: str) -> torch.Tensor:
    """A (3, H, W) uint8 picture."""
    return torch.from_numpy(np.ascontiguousarray(decode_image(path).transpose(2, 0, 1)))


def authors(case: str, code: str, model, paths: list[str], sizes: str) -> tuple[list, list]:
    """The same from the authors' code."""
    settings = CASES[case]
    job = {
        "sizes": SIZES[sizes],
        "weights": model.image_encoder.visual.state_dict(),
        "text": model.text,
        "query_to_class": model.query_to_class,
        "protocol": model.protocol.as_dict(),
        "pamr": settings.get("refiner", {}).get("type") == "PAMR",
        "float32": True,
        "class_token_factor": settings.get("class_token_factor", False),
        "dbscan": [settings.get("refiner", {}).get(key) for key in ("eps", "min_samples")],
        "photos": paths,
    }
    with tempfile.TemporaryDirectory() as folder:
        job_file, out = Path(folder) / "job.pt", Path(folder) / "out.pt"
        torch.save(job, job_file)
        script = Path(__file__).with_name("authors_run.py")
        command = [sys.executable, script, settings["code"], code, job_file, out]
        subprocess.run([str(c) for c in command], check=True)
        result = torch.load(out, weights_only=False)
    return result["logits"], result["labels"]


def perplexity(model, path) -> tuple[float, int]:
    """How many tokens a token attends to in CLIP's last block, of how many: e to the entropy."""
    encoder = model.image_encoder
    pixels = read(path)[:, :224, :224]
    height, width = (side // 16 * 16 for side in pixels.shape[-2:])
    normalized = Picture(pixels[:, :height, :width]).normalized(encoder)[None]
    block = encoder.last_block
    q, _, _ = block.qkv(block.norm1(encoder.tokens(normalized).tokens))
    p = (q @ q.transpose(-1, -2) * block.scale).softmax(-1)
    return float((-(p * p.clamp(min=1e-30).log()).sum(-1)).mean().exp()), p.shape[-1]


def main() -> None:
    """Compare one case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--photos", nargs="*", default=[])
    parser.add_argument("--code", required=True)
    parser.add_argument("--sizes", default="small", choices=SIZES)
    parser.add_argument("--record", help="folder for <case>.npz, made of drawn pictures")
    args = parser.parse_args()
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        photos = args.photos
        if args.record:
            photos = []
            for number, (height, width, seed) in enumerate(PICTURES):
                photos.append(f"{folder}/{number}.png")
                picture = draw_picture(height, width, seed).permute(1, 2, 0).numpy()
                Image.fromarray(picture).save(photos[-1])
        model = build_case(args.case, args.sizes)
        print("perplexity of q-q attention: {:.1f} of {}".format(*perplexity(model, photos[0])))
        their_logits, their_labels = authors(args.case, args.code, model, photos, args.sizes)
        our_logits, our_labels = ours(model, photos)
        for path, a, b, c, d in zip(
            photos, their_logits, our_logits, their_labels, our_labels, strict=True
        ):
            relative = np.abs(a - b).max() / np.abs(a).max()
            print(
                f"{Path(path).name} {c.shape}: {len(a)} windows, logits differ by {relative:.1e} "
                f"of the largest, labels agree on {100 * (c == d).mean():.3f} %, "
                f"{len(np.unique(c))} classes"
            )
        if args.record:
            out = Path(args.record) / f"{args.case}.npz"
            np.savez_compressed(out, **keep(their_logits, their_labels))
            print(out, out.stat().st_size)


if __name__ == "__main__":
    main()
