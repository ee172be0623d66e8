"""Record what the public code of Trident computes on drawn weights.

    python tools/record/record_trident.py --authors CHECKOUTS --out tests/segmentors/data

CHECKOUTS holds the folders `Trident` (github.com/YuHengsss/Trident, at a93b346) and `dino`
(github.com/facebookresearch/dino). Weights and pictures are drawn by name
(tests/segmentors/trident_case.py), so only results are stored: cosines of the patches, labels
without refinement, labels with it as the code is, and with three faults of it mended (see
configs/trident/README.md). Everything runs in float32 on the CPU. While the code is read, two
constants are replaced, for a SAM of 128 pixels in place of 1024, and of the equally probable pixels
of a region the first is pointed at (which it is depends on rounding otherwise).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import tempfile
import types
from functools import partial
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from scipy import ndimage

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ovseg import compat  # noqa: E402
from tests.segmentors import trident_case as case  # noqa: E402

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def load(name: str, path: Path, *changes: tuple[str, str]) -> types.ModuleType:
    """A module read from a file, with constants changed."""
    source = path.read_text()
    for old, new in changes:
        if old not in source:
            raise SystemExit(f"{path.name} is not the version that is recorded: no {old!r}")
        source = source.replace(old, new)
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def import_code(authors: Path):
    """The authors' modules, with stand-ins for packages they hardly use."""
    compat.install()
    torch.Tensor.half = lambda self: self.float()
    measure = types.ModuleType("skimage.measure")
    measure.label = lambda mask, connectivity: ndimage.label(mask, np.ones((3, 3)))[0]
    sys.modules["skimage"] = types.ModuleType("skimage")
    sys.modules["skimage"].measure = sys.modules["skimage.measure"] = measure
    sys.modules["openpyxl"] = types.ModuleType("openpyxl")
    sys.modules["openpyxl"].Workbook = sys.modules["openpyxl"].load_workbook = None
    sys.path[:0] = [str(authors / "Trident")]
    sys.path.append(str(authors / "dino"))
    importlib.import_module("seg_utils")
    side = case.SAM["image_size"] // 4
    folder = authors / "Trident"
    first = "(region_logit >= region_logit.max() * (1 - 1e-5)).int().flatten().argmax()"
    changes = ("256", str(side)), ("torch.argmax(region_logit)", first)
    refine = load("seg_utils.utils", folder / "seg_utils" / "utils.py", *changes)
    grid = case.SAM["image_size"] // case.SAM["patch_size"]
    model = load("trident", folder / "trident.py", ("sam_r * 64", f"sam_r * {grid}"))
    return model, refine


def build(code):
    """The authors' model with drawn weights."""
    transformer = importlib.import_module("open_clip.transformer")
    vit = importlib.import_module("vision_transformer")
    from segment_anything import SamPredictor
    from torchvision import transforms

    builder = load("sam_build", ROOT / "ovseg" / "encoders" / "sam_build.py")
    model = code.Trident.__new__(code.Trident)
    torch.nn.Module.__init__(model)
    sizes = case.CLIP["vision_cfg"]
    visual = transformer.VisionTransformer(
        sizes["image_size"], sizes["patch_size"], sizes["width"], sizes["layers"],
        sizes["width"] // sizes["head_width"], 4.0, output_dim=case.CLIP["embed_dim"],
        act_layer=transformer.QuickGELU,
    )  # fmt: skip
    case.draw_weights(visual, "clip")

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.visual = visual

        def encode_image(self, images, external_feats, beta, gamma, **settings):
            self.seen = visual(images, external_feats, beta, gamma, **settings).clone()
            return self.seen.clone()

    model.clip = Tower().eval()
    sizes = {**case.DINO, "img_size": [case.DINO["img_size"]]}
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    model.vfm = vit.VisionTransformer(patch_size=16, qkv_bias=True, norm_layer=norm, **sizes).eval()
    case.draw_weights(model.vfm, "dino")
    model.sam = builder.build_sam(builder.sam_architecture(case.SAM)[1]).eval()
    case.draw_weights(model.sam, "sam")
    model.sam_predictor = SamPredictor(model.sam)
    settings = {
        "clip_stride": 16, "vfm_model": "dino", "dataset_type": "ADE", "dtype": torch.float32,
        "unnorm": code.UnNormalize(MEAN, STD), "beta": 1.2, "gamma": 3.0, "debug": True,
        "norm": transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "query_idx": torch.arange(case.QUERIES), "num_classes": case.QUERIES, "pamr": None,
        "logit_scale": case.SCALE, "prob_thd": 0.0, "slide_stride": case.STRIDE,
        "slide_crop": case.CROP, "cos_fac": 1.2, "refine_neg_cos": True,
        "sam_heads": case.SAM["num_heads"], "sam_iou_thresh": case.IOU, "sam_mask_coff": 0.005,
        "coarse_thresh": case.COARSE, "minimal_area": case.AREA,
    }  # fmt: skip
    for name, value in settings.items():
        setattr(model, name, value)
    return model


def mend(code, refine, predictor) -> None:
    """Mend the three faults of the refinement; see configs/trident/README.md."""
    predict = type(predictor).predict_torch

    def batched(self, boxes, mask_input, **settings):
        masks = mask_input[None].expand(len(boxes), -1, -1, -1)
        return predict(self, boxes=boxes, mask_input=masks, **settings)

    def failed(masks, logits, regions, scores, labels):
        coarse = (regions.sum(0, keepdim=True) != 0) * scores
        better = coarse.amax(0, keepdim=True) > logits.amax(0, keepdim=True)
        return torch.where(better, labels, masks), torch.maximum(coarse, logits)

    def into_frame(self, coords, size):
        factor = [new / old for new, old in zip(predictor.input_size, size, strict=True)]
        return coords.float() * torch.tensor(factor[::-1])

    shape, frame = predictor.transform.get_preprocess_shape, case.SAM["image_size"] // 4
    whole = code.sam_refinement

    def mask_shape(height, width, length):
        if length != frame:
            return shape(height, width, length)
        return tuple(int(side / 4 + 0.5) for side in predictor.input_size)

    def at_its_size(path, labels, *rest):
        predictor.original_size = tuple(labels.shape[-2:])
        return whole(path, labels, *rest)

    type(predictor).predict_torch = batched
    type(predictor.transform).get_preprocess_shape = staticmethod(mask_shape)
    code.sam_refinement = at_its_size
    refine.map_failed_regions = failed
    type(predictor.transform).apply_coords_torch = into_frame


def pictures(folder: str):
    """Each drawn picture as (path, its size, what enters CLIP)."""
    for index in range(len(case.SIZES)):
        rgb = case.draw_picture(index).permute(1, 2, 0).numpy()
        path = f"{folder}/{index}.png"
        cv2.imwrite(path, rgb[..., ::-1])
        small = mmcv.imrescale(rgb, (2048, case.SHORT_SIDE), interpolation="bilinear")
        pixels = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
        shape = (1, 3, 1, 1)
        yield (
            path,
            rgb.shape[:2],
            (pixels - torch.tensor(MEAN).view(shape)) / torch.tensor(STD).view(shape),
        )


def far_apart(features: torch.Tensor, count: int) -> torch.Tensor:
    """(count, E) rows of the features that are as unlike each other as can be."""
    chosen = [0]
    while len(chosen) < count:
        chosen.append(int((features @ features[chosen].T).amax(1).argmin()))
    return features[chosen]


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--authors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    code, refine = import_code(arguments.authors.resolve())
    model = build(code)
    found, logits = {}, []
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        model.query_features = torch.zeros(case.QUERIES, case.CLIP["embed_dim"])
        features = []
        for path, size, pixels in pictures(folder):
            model.get_trident_seg(pixels, path, [{"ori_shape": size}])
            features.append(torch.nn.functional.normalize(model.clip.seen[0], dim=-1))
        model.query_features = far_apart(torch.cat(features), case.QUERIES)
        found["text"] = model.query_features.numpy()
        qualities = []
        predict = model.sam.mask_decoder.forward
        model.sam.mask_decoder.forward = lambda **k: (
            qualities.append((out := predict(**k))[1]),
            out,
        )[1]
        for attempt in ("lift", "as is", "mended"):
            if attempt == "mended":
                mend(code, refine, model.sam_predictor)
            for index, (path, size, pixels) in enumerate(pictures(folder)):
                meta = [{"ori_shape": size}]
                logits = model.get_trident_seg(pixels, path, meta)
                grid = (model.clip.seen[0] / model.clip.seen[0].norm(dim=-1, keepdim=True)).numpy()
                found[f"cosines_{index}"] = grid @ found["text"].T
                for name, on in (("plain", False), (attempt, True)):
                    model.sam_refine = on
                    labels, _ = model.postprocess_result(logits.clone(), None, path)
                    found[f"{name}_{index}"] = labels[0].numpy().astype(np.uint8)
            if attempt == "lift":  # two of three answers are trusted
                lift = case.IOU - float(torch.cat(qualities).quantile(0.33))
                found["lift"] = np.float32(round(lift, 2))
                case.lift_quality(model.sam, float(found["lift"]))
    found = {k.replace(" ", "_"): v for k, v in found.items() if not k.startswith("lift_")}
    for index in range(len(case.SIZES)):
        plain, asis, mended = (found[f"{n}_{index}"] for n in ("plain", "as_is", "mended"))
        print(
            f"picture {index}: {len(np.unique(plain))} classes, refinement changes "
            f"{(plain != mended).mean():.1%}, faults {(asis != mended).mean():.2%}"
        )
    np.savez_compressed(arguments.out / "trident.npz", **found)


if __name__ == "__main__":
    main()
