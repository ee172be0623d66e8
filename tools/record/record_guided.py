"""Record what the public code of ProxyCLIP, CLIP-DINOiser and FOUND computes on drawn weights.

    python tools/record/record_guided.py proxyclip --authors CHECKOUTS --out tests/dense/data
    python tools/record/record_guided.py clip_dinoiser --authors CHECKOUTS --out tests/dense/data

CHECKOUTS holds the folders `ProxyCLIP` (github.com/mc-lan/ProxyCLIP), `clip_dinoiser`
(github.com/wysoczanska/clip_dinoiser), `FOUND` (github.com/valeoai/FOUND) and `dino`
(github.com/facebookresearch/dino). The two are recorded by two commands, since ProxyCLIP brings
its own open_clip. Weights, pixels and text are drawn by name (tests/drawn.py), so only
results are stored. Everything runs in float32 on the CPU.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests import drawn

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalized(mean, std) -> torch.Tensor:
    """The drawn images for an encoder."""
    shape = (1, 3, 1, 1)
    pixels = drawn.draw_images().float() / 255
    return (pixels - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)


def dino(authors: Path, **changes) -> torch.nn.Module:
    """The authors' DINO, small and drawn."""
    sys.path.append(str(authors / "dino"))
    vit = importlib.import_module("vision_transformer")
    sizes = {**drawn.DINO, "img_size": [drawn.DINO["img_size"]], **changes}
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    model = vit.VisionTransformer(**sizes, qkv_bias=True, norm_layer=norm)
    drawn.draw_weights(model, "dino")
    return model.eval()


def record_proxyclip(authors: Path) -> dict[str, torch.Tensor]:
    """Cosines of ProxyCLIP's patches; windows by themselves, and as one batch."""
    sys.path.insert(0, str(authors / "ProxyCLIP"))
    package = importlib.import_module("open_clip")
    if "ProxyCLIP" not in str(Path(package.__file__).resolve()):
        raise SystemExit("the installed open_clip was imported instead of ProxyCLIP's")
    model = importlib.import_module("open_clip.model")
    sizes = drawn.CLIP["vision_cfg"]
    visual = model._build_vision_tower(
        drawn.CLIP["embed_dim"], model.CLIPVisionCfg(**sizes), quick_gelu=True
    ).eval()
    drawn.draw_weights(visual, "clip")
    vit = dino(authors)
    grid = drawn.SIDE // drawn.DINO["patch_size"]
    features = vit.get_intermediate_layers(normalized(MEAN, STD))[0][:, 1:]
    features = features.transpose(1, 2).unflatten(-1, (grid, grid))
    images = normalized(CLIP_MEAN, CLIP_STD)

    def cosines(which: slice) -> torch.Tensor:
        dense = visual(images[which], ex_feats=features[which], beta=1.2, gamma=3.0)
        return F.normalize(dense, dim=-1) @ drawn.draw_text().T

    alone = torch.cat([cosines(slice(i, i + 1)) for i in range(len(images))])
    return {"window": alone, "picture": cosines(slice(None)), "guide": features[:, ::5, ::3, ::3]}


def stand_ins(authors: Path) -> None:
    """Old packages that CLIP-DINOiser's code imports, as far as it uses them."""
    import mmcv
    import mmcv.utils
    import mmengine
    import open_clip
    import yaml

    mmcv.utils.Registry = mmengine.Registry
    ops = types.ModuleType("mmseg.ops")
    ops.resize = lambda input, size, mode, align_corners: F.interpolate(
        input, size, mode=mode, align_corners=align_corners
    )
    sys.modules["mmseg.ops"] = ops
    config = types.ModuleType("omegaconf")

    def load(path):
        loaded = yaml.safe_load((authors / "clip_dinoiser" / path).read_text())
        head = loaded["model"]["decode_head"]
        head.update(in_channels=drawn.HEAD["width"], text_channels=drawn.CLIP["embed_dim"])
        loaded["model"]["backbone"] = {"img_size": 32, "patch_size": 8}
        return loaded

    config.OmegaConf = types.SimpleNamespace(load=load, to_container=lambda c, resolve: c)
    sys.modules["omegaconf"] = config
    model = importlib.import_module("open_clip.model")

    def clip(*_, **__):
        sizes = drawn.CLIP["vision_cfg"]
        visual = model._build_vision_tower(16, open_clip.CLIPVisionCfg(**sizes), quick_gelu=False)
        drawn.draw_weights(visual, "clip")
        visual.transformer.batch_first = False  # as in the open_clip of its time
        for block in visual.transformer.resblocks:
            block.attn.batch_first = False
        module = torch.nn.Module()
        module.visual = visual
        module.forward = visual.forward
        return module, None

    open_clip.create_model_from_pretrained = clip
    open_clip.get_tokenizer = lambda name: None


def record_clip_dinoiser(authors: Path) -> dict[str, torch.Tensor]:
    """Probabilities of CLIP-DINOiser's patches, both ways, and FOUND's two steps."""
    from ovseg import compat

    compat.install()
    stand_ins(authors)
    sys.path.insert(0, str(authors / "clip_dinoiser"))
    importlib.import_module("models")
    masks = sys.modules["models.maskclip.maskclip"]
    ours = sys.modules["models.clip_dinoiser.clip_dinoiser"]
    masks.MaskClipHead._get_class_embeddings = lambda *_: drawn.draw_text()
    pixels = drawn.draw_images().float() / 255
    found = {}

    def probabilities(model) -> torch.Tensor:
        return torch.cat([model(one) for one in pixels.split(1)])

    settings = {"clip_backbone": "maskclip", "class_names": [""] * drawn.QUERIES, "gamma": 0.2}
    student = ours.CLIP_DINOiser(**settings, vit_patch_size=8, in_dim=drawn.HEAD["dim"])
    width, dim = drawn.HEAD["width"], drawn.HEAD["dim"]
    student.obj_proj = torch.nn.Conv2d(width, dim, 3, padding=1, padding_mode="replicate")
    student.bkg_decoder = torch.nn.Conv2d(width, 1, 1)
    drawn.draw_weights(student.obj_proj, "convolutions.obj_proj")
    drawn.draw_weights(student.bkg_decoder, "convolutions.bkg_decoder")
    for apply in (False, True):
        student.apply_found = apply
        found[f"student_{'background' if apply else 'plain'}"] = probabilities(student.eval())

    vit = dino(authors)
    seen = {}
    vit.blocks[-1].attn.qkv.register_forward_hook(lambda m, i, o: seen.__setitem__("qkv", o))
    teacher = ours.DinoCLIP(**settings, vit_patch_size=4, enc_type_feats="v")
    teacher.vit_encoder, teacher.hook_features, teacher.dino_T = vit, seen, ours.NORMALIZE
    found["teacher"] = probabilities(teacher.eval())

    seeds = importlib.util.spec_from_file_location("bkg_seg", authors / "FOUND" / "bkg_seg.py")
    module = importlib.util.module_from_spec(seeds)
    seeds.loader.exec_module(module)
    attention = vit.get_last_selfattention(normalized(MEAN, STD))
    heads, grid = drawn.DINO["num_heads"], drawn.SIDE // drawn.DINO["patch_size"]
    width = drawn.DINO["embed_dim"]
    keys = seen["qkv"].reshape(2, -1, 3, width)[:, :, 1]
    found["seed_background"] = module.compute_img_bkg_seg(
        attention, keys, (grid, grid), th_bkg=0.3, dim=width // heads
    )
    return found


def main() -> None:
    """Read the arguments and write one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=["proxyclip", "clip_dinoiser"])
    parser.add_argument("--authors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    record = {"proxyclip": record_proxyclip, "clip_dinoiser": record_clip_dinoiser}
    with torch.no_grad():
        found = record[arguments.method](arguments.authors.resolve())
    arrays = {name: tensor.float().numpy() for name, tensor in found.items()}
    np.savez_compressed(arguments.out / f"{arguments.method}.npz", **arrays)


if __name__ == "__main__":
    main()
