"""Record what the public code of CLIPSelf computes on drawn towers, pictures and boxes.

    python tools/record/record_clipself.py --authors CHECKOUTS \\
        --out tests/segmentors/distillers/data

CHECKOUTS holds the folder `CLIPSelf` (github.com/wusize/CLIPSelf, at 1c7fe9c), whose packages take
the place of open_clip; einops has to be on PYTHONPATH, and of panopticapi, which is not reached, an
empty module is enough. Towers, pictures, boxes and words are those of
tests/segmentors/distillers/clipself_case.py. In float32 on the CPU, for a vision transformer of
open_clip and an EVA02: the sample that the two data sets make of each picture (whole image, boxes,
crops), features of boxes and masks, the dense map, embeddings of crops, both losses and gradients.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import sys
import tempfile
import types
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).parents[2]


def load(name: str, path: Path):
    """A module of this repository, without the package it is in."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


case = load("clipself_case", ROOT / "tests/segmentors/distillers/clipself_case.py")
names = load("eva_names", ROOT / "ovseg/encoders/eva_names.py")


class Clip(nn.Module):
    """What their methods ask of a model, around one tower."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        self.logit_scale = nn.Parameter(torch.tensor(case.LOGIT_SCALE).log())

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Embeddings of images."""
        features = self.visual(image)
        return nn.functional.normalize(features, dim=-1) if normalize else features

    def encode_pseudo_boxes(self, image, boxes, normalize=False, extract_type="v2"):
        """Features of boxes."""
        features = self.visual.extract_roi_features(image, boxes, extract_type=extract_type)
        return nn.functional.normalize(features, dim=-1) if normalize else features


def build(kind: str, prefix: str) -> Clip:
    """Their tower with drawn weights."""
    sizes = case.SIZES
    if kind == "vit":
        from open_clip.transformer import VisionTransformer

        visual = VisionTransformer(
            image_size=sizes["image_size"],
            patch_size=sizes["patch_size"],
            width=sizes["width"],
            layers=sizes["layers"],
            heads=sizes["heads"],
            mlp_ratio=4.0,
            output_dim=sizes["embed_dim"],
        )
        case.fill(visual.named_parameters(), prefix)
    else:
        from open_clip.eva_clip.eva_vit_model import EVAVisionTransformer

        visual = EVAVisionTransformer(
            img_size=sizes["image_size"],
            patch_size=sizes["patch_size"],
            num_classes=sizes["embed_dim"],
            use_mean_pooling=False,
            embed_dim=sizes["width"],
            depth=sizes["layers"],
            num_heads=sizes["heads"],
            mlp_ratio=8 / 3,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            rope=True,
            pt_hw_seq_len=5,
            intp_freq=True,
            naiveswiglu=True,
            subln=True,
        )
        case.fill(visual.named_parameters(), prefix, names.timm_name)
    visual.image_size = sizes["image_size"]
    return Clip(visual).eval()


def write_data(folder: Path) -> Path:
    """Pictures and proposals in COCO's layout."""
    content: dict[str, list] = {"images": [], "annotations": [], "categories": []}
    for i, (picture, boxes) in enumerate(zip(case.PICTURES, case.PROPOSALS, strict=True)):
        case.draw_picture(i).save(folder / f"{i}.png")
        content["images"].append(
            {"id": i, "file_name": f"{i}.png", "width": picture[0], "height": picture[1]}
        )
        for box in boxes:
            number = len(content["annotations"])
            content["annotations"].append(
                {"id": number, "image_id": i, "bbox": list(box), "category_id": 1}
            )
    path = folder / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def record_samples(found: dict[str, np.ndarray]) -> list[list[tuple]]:
    """Samples of both data sets; gives them for the towers."""
    from open_clip.transform import det_image_transform, image_transform
    from training.data import GridDistillDataset, ProposalDistillDataset

    transforms = [
        det_image_transform(case.SIDE, is_train=False),
        image_transform(case.CROP, is_train=False, resize_longest_max=True),
    ]
    options = types.SimpleNamespace(
        train_ceph_root="", train_ratio=1.0, max_boxes=20, crop_scale=1.0, **case.LIMITS
    )
    with tempfile.TemporaryDirectory() as folder:
        path = write_data(Path(folder))
        common = dict(transforms=transforms, image_root=folder, crop_size=case.CROP, args=options)
        proposals = ProposalDistillDataset(str(path), **common)
        grids = GridDistillDataset(str(path), max_split=6, **common)
        random.seed(0)
        samples = [[proposals[i] for i in range(len(case.PICTURES))], []]
        for i, shape in enumerate(case.GRIDS):
            choices, grids.choices = grids.choices, [shape]
            samples[1].append(grids[i])
            grids.choices = choices
    found["grid_shapes"] = np.array(grids.choices)
    for mode, of_mode in zip(("given", "grid"), samples, strict=True):
        for i, (image, boxes, crops) in enumerate(of_mode):
            valid = boxes[:, -1] > 0.5
            found[f"image_{mode}_{i}"] = image.numpy()
            found[f"boxes_{mode}_{i}"] = boxes[valid, :4].numpy()
            found[f"crops_{mode}_{i}"] = crops[valid].numpy()
    return samples


def record_tower(kind: str, samples: list[list[tuple]]) -> dict[str, np.ndarray]:
    """Features, losses and gradients of one tower."""
    from training import region_clip
    from training.clipself import CLIPSelf

    found: dict[str, np.ndarray] = {}
    teacher = build(kind, f"{kind}.teacher")
    options = types.SimpleNamespace(
        multiscale=False, extract_type="v2", cosine_weight=1.0, contrast_weight=1.0
    )
    for mode, of_mode in zip(("given", "grid"), samples, strict=True):
        student = build(kind, f"{kind}.student")
        images, boxes, crops = (torch.stack(part) for part in zip(*of_mode, strict=True))
        losses, _, _ = CLIPSelf()(
            (images, boxes, crops), student, teacher, None, "cpu", None, False, options
        )
        losses["loss_cosine"].backward()
        found[f"loss_{mode}"] = losses["loss_cosine"].detach().numpy()
        if mode == "given":
            parameters = {
                (names.timm_name(name) if kind == "eva02" else name): p
                for name, p in student.visual.named_parameters()
            }
            for name in case.GRADIENTS[kind]:
                found[f"grad_{name}"] = parameters[name].grad.numpy()
        with torch.no_grad():
            rois = [b[b[:, -1] > 0.5, :4] for b in boxes]
            valid = [c[b[:, -1] > 0.5] for b, c in zip(boxes, crops, strict=True)]
            found[f"student_{mode}"] = student.encode_pseudo_boxes(images, rois).numpy()
            found[f"teacher_{mode}"] = teacher.encode_image(torch.cat(valid)).numpy()
    side = case.SIDE // case.SIZES["patch_size"]
    masks = [torch.from_numpy(case.draw(f"masks{i}", (3, side, side)) > 0.3) for i in range(2)]
    with torch.no_grad():
        found["masks"] = student.visual.mask_pool(images, masks).numpy()
        dense = student.visual.encode_dense(images, keep_shape=True)
        found["dense"] = dense.numpy()[:, ::3, ::4, ::4]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.npy")
        np.save(path, case.draw_words())
        method = region_clip.RegionCLIP(types.SimpleNamespace(train_embed_path=str(path)))
    chosen, choose = [], region_clip.get_fed_loss_inds
    region_clip.get_fed_loss_inds = lambda *a: chosen.append(choose(*a)) or chosen[-1]
    labels = torch.tensor(case.LABELS)
    images, boxes, _ = (torch.stack(part) for part in zip(*samples[0], strict=True))
    pairs = torch.zeros(2, 3, 6)
    for i in range(2):
        pairs[i, :, :4] = boxes[i][boxes[i][:, -1] > 0.5][:3, :4]
        pairs[i, :, 4], pairs[i, :, 5] = labels[i], 1
    torch.manual_seed(0)
    losses, _, _ = method((images, pairs), student, None, None, "cpu", None, False, options)
    found["loss_words"] = losses["loss_contrast"].detach().numpy()
    found["words"] = chosen[0].numpy()
    found["pairs"] = pairs[..., :4].numpy()
    return found


def main() -> None:
    """Record samples and both towers."""
    parser = argparse.ArgumentParser(description="Record the public code of CLIPSelf.")
    parser.add_argument("--authors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.authors / "CLIPSelf" / "src"))
    panoptic = types.ModuleType("panopticapi")
    panoptic.utils = types.ModuleType("panopticapi.utils")
    sys.modules.setdefault("panopticapi", panoptic)
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, np.ndarray] = {}
    samples = record_samples(found)
    kept = {"samples": found, **{kind: record_tower(kind, samples) for kind in case.KINDS}}
    for name, arrays in kept.items():
        thinned = {key: case.thin(key, value) for key, value in arrays.items()}
        np.savez_compressed(arguments.out / f"clipself-{name}.npz", **thinned)


if __name__ == "__main__":
    main()
