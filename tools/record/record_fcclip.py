"""Record what the public code of FC-CLIP computes on drawn weights and pictures.

    python tools/record/record_fcclip.py --authors fc-clip --out tests/heads/data

`fc-clip` is a checkout of github.com/bytedance/fc-clip (commit 2b0bbe2). detectron2 and fvcore need
not be installed: the few things the code takes from them are stood in for below. Nothing of the
authors' is changed but their constructors of CLIP, which would download weights. Widths are small,
weights, words and pictures are drawn by name (tests/heads/drawn_fcclip.py), everything runs in
float32 on the CPU; the names and shapes of their parameters are recorded too.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import types
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.heads import drawn_fcclip as drawn

MEAN, STD = [122.7709383, 116.7460125, 104.09373615], [68.5005327, 66.6321579, 70.32316305]


class ShapeSpec(NamedTuple):
    """detectron2's: what is known of a map before it is made."""

    channels: int
    stride: int


class Registry(dict):
    """detectron2's, as far as it is used as a decorator."""

    def __init__(self, name: str = "") -> None:
        super().__init__()

    def register(self):
        """Decorator that registers nothing."""
        return lambda thing: thing


class Conv2d(nn.Conv2d):
    """detectron2's: a convolution with its norm and activation."""

    def __init__(self, *args, norm=None, activation=None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.norm, self.activation = norm, activation

    def forward(self, x):
        """Convolve, norm, activate."""
        x = super().forward(x)
        x = x if self.norm is None else self.norm(x)
        return x if self.activation is None else self.activation(x)


class ImageList:
    """detectron2's: images padded to one size."""

    @staticmethod
    def from_tensors(images, divisor):
        """Pad with zeros to the right and below."""
        sizes = [tuple(x.shape[-2:]) for x in images]
        size = [-(-max(side) // divisor) * divisor for side in zip(*sizes, strict=True)]
        padded = [F.pad(x, (0, size[1] - x.shape[2], 0, size[0] - x.shape[1])) for x in images]
        return types.SimpleNamespace(tensor=torch.stack(padded), image_sizes=sizes)


class Instances:
    """detectron2's: a bag of fields."""

    def __init__(self, size) -> None:
        self.image_size = size


def sem_seg_postprocess(result, shown, height, width):
    """detectron2's: cut the padding off and resize."""
    result = result[:, : shown[0], : shown[1]][None]
    return F.interpolate(result, size=(height, width), mode="bilinear", align_corners=False)[0]


def _module(name: str, **members) -> None:
    module = types.ModuleType(name)
    module.__dict__.update(members)
    module.__path__ = []
    sys.modules[name] = module


def stand_in(checkout: Path) -> None:
    """What the authors' code imports, and their package without its data sets."""
    _module("fvcore")
    _module("fvcore.nn", weight_init=None)
    _module("fvcore.nn.weight_init", c2_xavier_fill=lambda conv: None)
    sys.modules["fvcore.nn"].weight_init = sys.modules["fvcore.nn.weight_init"]
    _module("detectron2")
    _module("detectron2.config", configurable=lambda init: init)
    _module("detectron2.data", MetadataCatalog=None)
    _module(
        "detectron2.layers",
        Conv2d=Conv2d,
        ShapeSpec=ShapeSpec,
        get_norm=lambda kind, channels: nn.GroupNorm(32, channels),
    )
    _module(
        "detectron2.modeling",
        META_ARCH_REGISTRY=Registry(),
        SEM_SEG_HEADS_REGISTRY=Registry(),
        BACKBONE_REGISTRY=Registry(),
        build_backbone=None,
        build_sem_seg_head=None,
        Backbone=nn.Module,
        ShapeSpec=ShapeSpec,
    )
    _module("detectron2.modeling.backbone", Backbone=nn.Module)
    _module("detectron2.modeling.postprocessing", sem_seg_postprocess=sem_seg_postprocess)
    _module(
        "detectron2.structures",
        Boxes=lambda boxes: boxes,
        BitMasks=None,
        ImageList=ImageList,
        Instances=Instances,
    )
    _module("detectron2.utils", comm=types.SimpleNamespace())
    _module("detectron2.utils.comm", get_world_size=lambda: 1)
    _module("detectron2.utils.memory", retry_if_cuda_oom=lambda call: call)
    _module("detectron2.utils.registry", Registry=Registry)
    _module("detectron2.projects")
    _module("detectron2.projects.point_rend")
    _module(
        "detectron2.projects.point_rend.point_features",
        get_uncertain_point_coords_with_randomness=None,
        point_sample=None,
    )
    _module("MultiScaleDeformableAttention")  # without its kernel: their PyTorch code runs
    for name in ("fcclip", "fcclip.modeling", "fcclip.utils"):
        _module(name)
        sys.modules[name].__path__ = [str(checkout / name.replace(".", "/"))]


def build_backbone(kind: str):
    """The authors' CLIP on drawn weights."""
    import open_clip

    config = drawn.clip_config(kind)
    config.pop("name")
    config["text_cfg"].pop("bpe_file")
    theirs = importlib.import_module("fcclip.modeling.backbone.clip").CLIP
    backbone = theirs.__new__(theirs)
    nn.Module.__init__(backbone)
    backbone.clip_model = open_clip.CLIP(**config)
    backbone.model_type = kind
    backbone.model_name = {"convnext": "convnext_drawn", "resnet": "rndrawn"}[kind]
    drawn.draw_module(backbone.clip_model.visual, "clip", kind)
    with torch.no_grad():
        backbone.clip_model.logit_scale.fill_(math.log(drawn.LOGIT_SCALE))
    return backbone.eval()


def build_head(kind: str, channels: dict[str, int]):
    """The authors' pixel decoder, transformer decoder and head."""
    pixel = importlib.import_module("fcclip.modeling.pixel_decoder.msdeformattn")
    decoder = importlib.import_module(
        "fcclip.modeling.transformer_decoder.fcclip_transformer_decoder"
    )
    head = importlib.import_module("fcclip.modeling.meta_arch.fcclip_head").FCCLIPHead
    sizes = drawn.SIZES[kind]
    strides = {"res2": 4, "res3": 8, "res4": 16, "res5": 32}
    shape = {name: ShapeSpec(channels[name], stride) for name, stride in strides.items()}
    return head(
        shape,
        num_classes=len(drawn.TRAIN_CLASSES),
        pixel_decoder=pixel.MSDeformAttnPixelDecoder(
            shape,
            transformer_dropout=0.0,
            transformer_nheads=drawn.HEADS,
            transformer_dim_feedforward=drawn.FEEDFORWARD,
            transformer_enc_layers=sizes["layers"],
            conv_dim=sizes["dim"],
            mask_dim=sizes["hidden"],
            norm="GN",
            transformer_in_features=["res3", "res4", "res5"],
            common_stride=4,
        ),
        transformer_predictor=decoder.MultiScaleMaskedTransformerDecoder(
            sizes["dim"],
            True,
            num_classes=len(drawn.TRAIN_CLASSES),
            hidden_dim=sizes["hidden"],
            num_queries=drawn.QUERIES,
            nheads=drawn.HEADS,
            dim_feedforward=drawn.FEEDFORWARD,
            dec_layers=sizes["decoder_layers"],
            pre_norm=False,
            mask_dim=sizes["hidden"],
            enforce_input_project=False,
            clip_embedding_dim=drawn.EMBED_DIM,
        ),
        transformer_in_feature="multi_scale_pixel_decoder",
    )


class Criterion(nn.Module):
    """What a checkpoint holds of the authors' loss."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("empty_weight", torch.ones(len(drawn.TRAIN_CLASSES) + 1))


def build_model(kind: str):
    """The authors' model, and the names and shapes of all its tensors."""
    theirs = importlib.import_module("fcclip.fcclip")
    backbone = build_backbone(kind)
    maps = backbone(torch.zeros(1, 3, 64, 64))
    train = types.SimpleNamespace(stuff_classes=drawn.TRAIN_CLASSES)
    test = types.SimpleNamespace(
        stuff_classes=drawn.TEST_CLASSES,
        thing_dataset_id_to_contiguous_id={i + 100: i for i in drawn.THINGS},
    )
    model = theirs.FCCLIP(
        backbone=backbone,
        sem_seg_head=build_head(kind, {name: x.shape[1] for name, x in maps.items()}),
        criterion=Criterion(),
        num_queries=drawn.QUERIES,
        object_mask_threshold=drawn.OBJECT_THRESHOLD,
        overlap_threshold=drawn.OVERLAP_THRESHOLD,
        train_metadata=train,
        test_metadata=test,
        size_divisibility=32,
        sem_seg_postprocess_before_inference=True,
        pixel_mean=MEAN,
        pixel_std=STD,
        semantic_on=True,
        panoptic_on=True,
        instance_on=True,
        test_topk_per_image=drawn.INSTANCES,
        geometric_ensemble_alpha=drawn.ALPHA,
        geometric_ensemble_beta=drawn.BETA,
        ensemble_on_valid_mask=kind == "resnet",
    ).eval()
    for name, parameter in model.named_parameters():
        if not name.startswith("backbone."):
            parameter.data.copy_(drawn.draw_tensor(name, tuple(parameter.shape), kind))
    model.test_text_classifier = drawn.draw_words(sum(model.test_num_templates), kind)
    layout = [f"{k} {','.join(map(str, v.shape))}" for k, v in model.state_dict().items()]
    return model, layout


def record(kind: str) -> dict[str, np.ndarray]:
    """Everything the tests compare, of both pictures."""
    model, layout = build_model(kind)
    caught: dict[str, torch.Tensor] = {}

    def catch(module, name, call):
        inner = getattr(module, call)

        def run(*args, **kwargs):
            result = inner(*args, **kwargs)
            caught[name] = (args, result)
            return result

        setattr(module, call, run)

    catch(model.sem_seg_head.pixel_decoder, "pixel_decoder", "forward_features")
    catch(model.sem_seg_head, "head", "layers")
    catch(model.backbone, "pooled", "visual_prediction_forward")
    catch(model, "semantic", "semantic_inference")
    found = {
        "layout": np.array([line for line in layout if not line.startswith("backbone.")]),
        "frozen": np.array([line for line in layout if line.startswith("backbone.")]),
        "seen": model.category_overlapping_mask.numpy().astype(bool),
        "words": np.array(model.test_num_templates),
    }
    for i, (pixels, (_, size)) in enumerate(
        zip(drawn.draw_pictures(kind), drawn.PICTURES, strict=True)
    ):
        inputs = {"image": pixels.float(), "height": size[0], "width": size[1]}
        (result,) = model([inputs])
        mask_features, _, levels = caught["pixel_decoder"][1]
        outputs = caught["head"][1]
        layers = [*outputs["aux_outputs"], outputs]
        ids, segments = result["panoptic_seg"]
        instances = result["instances"]
        arrays = {
            "mask_features": mask_features[0],
            **{f"level{k}": x[0] for k, x in enumerate(levels)},
            "masks_0": layers[0]["pred_masks"][0],
            "masks_2": layers[2]["pred_masks"][0],
            "masks_last": layers[-1]["pred_masks"][0],
            "logits": torch.stack([layer["pred_logits"][0] for layer in layers]),
            "pooled": caught["pooled"][1][0],
            "classes": caught["semantic"][0][0],
            "semantic": result["sem_seg"],
            "panoptic_ids": ids,
            "segments": torch.tensor(
                [[s["id"], s["category_id"], int(s["isthing"])] for s in segments]
            ),
            "instance_scores": instances.scores,
            "instance_labels": instances.pred_classes,
            "instance_masks": instances.pred_masks.bool(),
        }
        for name, array in arrays.items():
            array = drawn.thinned(name, array.numpy())
            if array.dtype == np.float64:
                array = array.astype(np.float32)
            found[f"{name}/{i}"] = array
        nearest = min(float(layer["pred_masks"].abs().min()) for layer in layers)
        counts = f"{len(segments)} segments, {len(instances.scores)} instances"
        print(f"{kind}, picture {i}: {counts}, mask logits down to {nearest:.1e}")
    return found


def main() -> None:
    """Read the arguments and write one file a kind of tower."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--authors", type=Path, required=True, help="checkout of fc-clip")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    stand_in(arguments.authors.resolve())
    for kind in drawn.SIZES:
        with torch.no_grad():
            found = record(kind)
        np.savez_compressed(arguments.out / f"fcclip_{kind}.npz", **found)


if __name__ == "__main__":
    main()
