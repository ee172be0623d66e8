"""Run the public code of MaskCLIP, SCLIP, ClearCLIP, NACLIP or CLIPtrase on prepared weights.

Called by `compare_rules.py` in a process of its own, because the repositories bring packages named
`clip` and `open_clip`. Nothing of theirs is changed; what they load from elsewhere (weights, text
embeddings) is handed to them, and the CPU in place of a GPU.

    python tools/record/authors_run.py METHOD CODE JOB OUT
"""

from __future__ import annotations

import math
import sys
import tempfile
import types
from functools import partial
from pathlib import Path

import mmcv
import numpy as np
import packaging.version
import torch
from PIL import Image
from torch import nn

from ovseg import compat

MEAN, STD = [122.771, 116.746, 104.094], [68.501, 66.632, 70.323]


class Tower(nn.Module):
    """What their segmentors expect of a CLIP: an image tower and a scale."""

    def __init__(self, visual: nn.Module, text: torch.Tensor) -> None:
        super().__init__()
        self.visual, self.text, self.seen = visual, text, []
        self.logit_scale = nn.Parameter(torch.tensor(math.log(100.0)))

    def encode_image(self, image, *args, **kwargs):
        """What their tower gives; the logits of its patches are remembered."""
        out = self.visual(image, *args, **kwargs)
        tokens = out[0] if isinstance(out, tuple) else out
        count = (image.shape[-1] // 16) * (image.shape[-2] // 16)
        patches = tokens[:, -count:]
        self.seen.append((patches / patches.norm(dim=-1, keepdim=True)) @ self.text.T)
        return out


def openai_tower(model, job: dict) -> Tower:
    """The tower of OpenAI's code as they changed it."""
    sizes = job["sizes"]
    visual = model.VisionTransformer(
        input_resolution=224,
        patch_size=16,
        width=sizes["width"],
        layers=sizes["layers"],
        heads=sizes["width"] // 64,
        output_dim=sizes["embed_dim"],
    )
    visual.load_state_dict(job["weights"])
    return Tower(visual, job["text"])


def sclip(job: dict):
    """SCLIP's segmentor."""
    import clip.model
    from clip_segmentor import CLIPForSegmentation

    return bare(CLIPForSegmentation, openai_tower(clip.model, job), job)


def naclip(job: dict):
    """NACLIP's segmentor."""
    import clip.model
    from naclip import NACLIP

    tower = openai_tower(clip.model, job)
    tower.visual.set_params("reduced", "naclip", 5.0)
    return bare(NACLIP, tower, job)


def clearclip(job: dict):
    """ClearCLIP's segmentor, on its copy of open_clip."""
    for name in ("BLIP", "BLIP.models", "BLIP.models.blip_retrieval", "gem"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["BLIP.models.blip_retrieval"].blip_retrieval = None
    from clearclip_segmentor import ClearCLIPSegmentation
    from open_clip.transformer import QuickGELU, VisionTransformer

    sizes = job["sizes"]
    visual = VisionTransformer(
        image_size=224,
        patch_size=16,
        width=sizes["width"],
        layers=sizes["layers"],
        heads=sizes["width"] // 64,
        mlp_ratio=4.0,
        output_dim=sizes["embed_dim"],
        act_layer=QuickGELU,
    )
    visual.load_state_dict(job["weights"])
    model = bare(ClearCLIPSegmentation, Tower(visual, job["text"]), job)
    model.clip_type, model.model_type, model.ignore_residual = "CLIP", "ClearCLIP", True
    model.patch_size = visual.patch_size
    return model


def bare(cls, tower: Tower, job: dict):
    """Their segmentor without its constructor, which would download weights and ask for CUDA."""
    model = cls.__new__(cls)
    nn.Module.__init__(model)
    protocol = job["protocol"]
    model.net = tower
    model.query_features = job["text"]
    model.query_idx = job["query_to_class"]
    model.num_queries = len(job["text"])
    model.num_classes = int(job["query_to_class"].max()) + 1
    model.dtype = torch.float32
    model.align_corners = False
    model.logit_scale = protocol["logit_scale"]
    model.prob_thd = protocol["prob_threshold"]
    model.area_thd = protocol["area_threshold"] or None
    model.slide_crop, model.slide_stride = protocol["crop"], protocol["stride"]
    model.pamr = None
    if job["pamr"]:
        from pamr import PAMR

        model.pamr = PAMR(10, dilations=(8, 16))
    return model.eval()


def run_segmentor(model, job: dict) -> tuple[list, list]:
    """Their `predict` on every photograph, at their size: logits of all windows, and labels."""
    from mmengine.structures import PixelData  # noqa: F401 (their code needs it loaded)
    from mmseg.structures import SegDataSample

    if job["float32"]:  # ClearCLIP halves its input; float32 is what is compared here
        torch.Tensor.half = lambda self: self
    logits, labels = [], []
    for path in job["photos"]:
        image = mmcv.imread(path)
        size = image.shape[:2]
        image = mmcv.imrescale(image, (2048, job["protocol"]["short_side"]))
        pixels = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))).float()
        pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        sample = SegDataSample(metainfo={"ori_shape": size, "img_path": str(path)})
        model.net.seen = []
        (found,) = model.predict(pixels[None], [sample])
        logits.append(torch.cat(model.net.seen).numpy())
        labels.append(found.pred_sem_seg.data[0].numpy().astype(np.int16))
    return logits, labels


def run_cliptrase(code: Path, job: dict) -> tuple[list, list]:
    """Their whole evaluation on a folder of photographs; predictions are caught at the score."""
    import clip_self_correlation as theirs
    from clip_utils import model as clip_model

    theirs.device = "cpu"
    tower = openai_tower(clip_model, job)
    folder = Path(tempfile.mkdtemp())
    for kind in ("image", "label"):
        (folder / kind).mkdir()
    for path in job["photos"]:
        image = Image.open(path)
        image.convert("RGB").save(folder / "image" / f"{Path(path).stem}.png")
        Image.new("L", image.size).save(folder / "label" / f"{Path(path).stem}.png")
    theirs.get_image_name_list = lambda *args: [f"{Path(p).stem}.png" for p in job["photos"]]
    name = "VOC20" if job["class_token_factor"] else "ours"  # they know the set by its name
    theirs.dataset_info[name] = {
        "labels": ["word"] * len(job["text"]),
        "image_path": str(folder / "image"),
        "gt_path": str(folder / "label"),
    }
    theirs.get_text_features = lambda clip, words: job["text"]
    caught = []
    theirs.scores = lambda truth, predicted, count: caught.extend(predicted)
    theirs.self_clip(tower, name, job["protocol"]["short_side"], *job["dbscan"])
    return [one.numpy() for one in tower.seen], [p.astype(np.int16) for p in caught]


def maskclip_parts(code: Path):
    """MaskCLIP's backbone and head out of its copy of an old mmseg, whose packages stay unread."""
    from mmcv.cnn.bricks import transformer
    from mmengine import model as engine
    from mmengine.model import weight_init
    from mmengine.registry import Registry

    class QuickGELU(nn.Module):
        def __init__(self, inplace=False):
            super().__init__()

        def forward(self, x):
            return x * torch.sigmoid(1.702 * x)

    transformer.MODELS.register_module(module=QuickGELU, force=True)

    class Head(nn.Module):
        """Of their base class, what the head calls."""

        def __init__(self, in_channels, **kwargs):
            super().__init__()
            self.in_channels = in_channels

        def _transform_inputs(self, inputs):
            return inputs[-1]

    def stand_in(name: str, **members) -> None:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)

    runner = {"BaseModule": engine.BaseModule, "ModuleList": engine.ModuleList}
    stand_in("mmcv.runner", **runner, _load_checkpoint=None)
    stand_in("mmcv.runner.base_module", **runner)
    pair = nn.modules.utils._pair
    stand_in("mmcv.utils", print_log=lambda *args, **kwargs: None, to_2tuple=pair)
    stand_in("mmcv.cnn.utils", weight_init=weight_init)
    stand_in("mmcv.cnn.utils.weight_init", **vars(weight_init))
    for package in ("", ".models", ".models.backbones", ".models.decode_heads"):
        stand_in(f"mmseg{package}", __path__=[str(code / f"mmseg{package}".replace(".", "/"))])
    stand_in("mmseg.ops", resize=nn.functional.interpolate)
    stand_in("mmseg.utils", get_root_logger=lambda: None)
    stand_in("mmseg.models.builder", BACKBONES=Registry("backbones"), HEADS=Registry("heads"))
    stand_in("mmseg.models.decode_heads.decode_head", BaseDecodeHead=Head)
    stand_in("mmseg.models.utils", __path__=[str(code / "mmseg/models/utils")])
    sys.modules["mmseg.models.utils"].PatchEmbed = __import__(
        "mmseg.models.utils.embed", fromlist=["PatchEmbed"]
    ).PatchEmbed
    from mmseg.models.backbones.vit import VisionTransformer
    from mmseg.models.decode_heads.maskclip_head import MaskClipHead

    return VisionTransformer, MaskClipHead


def run_maskclip(code: Path, job: dict) -> tuple[list, list]:
    """Their backbone and head on whole photographs, with CLIP's activation and epsilon."""
    transformer, head_type = maskclip_parts(code)
    sizes, protocol = job["sizes"], job["protocol"]
    backbone = transformer(
        img_size=(224, 224),
        patch_bias=False,
        embed_dims=sizes["width"],
        num_layers=sizes["layers"],
        num_heads=sizes["width"] // 64,
        norm_cfg={"type": "LN", "eps": 1e-5},  # theirs: 1e-6
        act_cfg={"type": "QuickGELU"},  # theirs: GELU
        pre_norm=True,
        final_norm=True,
        return_qkv=True,
    )
    names = {
        "class_embedding": "cls_token",
        "positional_embedding": "pos_embed",
        "conv1": "patch_embed.projection",
        "ln_pre": "ln0",
        "ln_post": "ln1",
        "transformer.resblocks": "layers",
        "ln_1": "ln1",
        "ln_2": "ln2",
        "attn": "attn.attn",
        "mlp.c_fc": "ffn.layers.0.0",
        "mlp.c_proj": "ffn.layers.1",
    }
    state = {}
    for name, value in job["weights"].items():
        new = name
        for old, theirs in names.items():
            new = new.replace(old, theirs)
        missing = {"cls_token": 2, "pos_embed": 1}.get(new, 0)
        state[new] = value[(None,) * missing]
    projection = state.pop("proj")
    backbone.load_state_dict(state)
    load = torch.load
    torch.load = lambda path, map_location=None: load(path, weights_only=True)
    with tempfile.TemporaryDirectory() as folder:
        text, proj = f"{folder}/text.pth", f"{folder}/proj.pth"
        torch.save(job["text"], text)
        torch.save({"proj": {"weight": projection.t().contiguous()}}, proj)
        head = head_type(
            len(job["text"]), sizes["embed_dim"], text, proj, vit=True, in_channels=sizes["width"]
        )
    torch.load = load
    backbone.eval(), head.eval()
    logits, labels = [], []
    for path in job["photos"]:
        image = mmcv.imread(path)
        size = image.shape[:2]
        image = mmcv.imrescale(image, (2048, protocol["short_side"]))
        pixels = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))).float()
        pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        found = head(backbone(pixels[None]))
        logits.append(found.flatten(2).mT.numpy())
        resize = partial(nn.functional.interpolate, mode="bilinear", align_corners=False)
        best = resize(resize(found, pixels.shape[1:]), size).argmax(1)[0]
        labels.append(job["query_to_class"][best].numpy().astype(np.int16))
    return logits, labels


@torch.no_grad()
def main(method: str, code: str, job_file: str, out: str) -> None:
    """Run one job."""
    sys.path.insert(0, code)
    sys.modules.setdefault("pkg_resources", types.SimpleNamespace(packaging=packaging))
    job = torch.load(job_file, weights_only=False)
    if method != "maskclip":
        compat.install()  # mmseg beside the pure-Python mmcv
    if method == "maskclip":
        logits, labels = run_maskclip(Path(code), job)
    elif method == "cliptrase":
        logits, labels = run_cliptrase(Path(code), job)
    else:
        model = {"sclip": sclip, "naclip": naclip, "clearclip": clearclip}[method](job)
        logits, labels = run_segmentor(model, job)
    torch.save({"logits": logits, "labels": labels}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
