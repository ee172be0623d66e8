"""Record three steps of CLIP-DINOiser's training by its authors' code, on drawn weights.

    python tools/record/record_dinoiser_training.py --authors CHECKOUTS --out DIRECTORY

CHECKOUTS holds the folders `clip_dinoiser` (github.com/wysoczanska/clip_dinoiser, at a954aae),
`FOUND` (github.com/valeoai/FOUND, at 1ad22ba) and `dino` (github.com/facebookresearch/dino, at
7c446df). DIRECTORY is tests/segmentors/data. Their `do_train` itself is run, in float32 on the CPU,
on the pictures of tests/segmentors/distillers/drawn_distiller.py; stored are what their losses
were given (parts) and gave, the gradients, and the trained weights. Their environment has
torchvision 0.13, which resizes tensors without antialiasing unless it is asked to, and so does
this recording.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import types
from functools import partial
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests import drawn  # noqa: E402
from tests.segmentors.distillers import drawn_distiller as case  # noqa: E402
from tools.record.record_guided import dino, stand_ins  # noqa: E402


def import_training(authors: Path):
    """Their `train.py`, with stand-ins for what it imports and is not run here."""
    from ovseg import compat

    compat.install()
    stand_ins(authors)
    for name, members in {
        "hydra": ("compose", "initialize"),
        "mmcv.parallel": ("MMDistributedDataParallel",),
        "mmcv.runner": ("get_dist_info", "init_dist"),
        "mmseg.apis": ("multi_gpu_test",),
        "helpers.logger": ("get_logger",),
        "segmentation.evaluation": (
            "build_seg_dataloader",
            "build_seg_dataset",
            "build_seg_inference",
        ),
        "datasets": ("transforms",),
    }.items():
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, None)
        sys.modules[name] = module
    sys.path.insert(0, str(authors / "clip_dinoiser"))
    return importlib.import_module("train")


def stay_on_the_cpu() -> None:
    """Their code asks for CUDA by name."""
    for owner in (torch.nn.Module, torch.Tensor):

        def to(self, *args, original=owner.to, **kwargs):
            return self if args[:1] == ("cuda",) else original(self, *args, **kwargs)

        owner.to = to


def found(authors: Path):
    """FOUND as they call it: a decoder on the keys of a DINO, drawn."""
    vit = dino(authors)
    sys.path += [str(authors), str(authors / "FOUND")]
    sys.modules["misc"] = types.SimpleNamespace(batch_apply_bilateral_solver=None)
    module = importlib.import_module("model")
    model = module.FoundModel.__new__(module.FoundModel)
    torch.nn.Module.__init__(model)
    model.vit_encoder, model.hook_features = hooked(vit)
    model.vit_patch_size, model.enc_type_feats = drawn.DINO["patch_size"], "k"
    model.decoder = torch.nn.Conv2d(drawn.DINO["embed_dim"], 1, 1)
    drawn.draw_weights(model.decoder, "found")
    torch.nn.init.constant_(model.decoder.bias, case.BIAS)
    return model.eval()


def hooked(vit):
    """A DINO, and where the q, k and v of its last block will be."""
    seen = {}
    vit.blocks[-1].attn.qkv.register_forward_hook(lambda m, i, o: seen.__setitem__("qkv", o))
    return vit, seen


def record(authors: Path) -> dict[str, np.ndarray]:
    """Run three steps."""
    train = import_training(authors)
    stay_on_the_cpu()
    masks = sys.modules["models.maskclip.maskclip"]
    ours = sys.modules["models.clip_dinoiser.clip_dinoiser"]
    masks.MaskClipHead._get_class_embeddings = lambda *_: drawn.draw_text()
    ours.T.functional.resize = partial(ours.T.functional.resize, antialias=False)

    model = ours.CLIP_DINOiser(
        clip_backbone="maskclip",
        class_names=[""],
        vit_patch_size=8,
        in_dim=drawn.HEAD["dim"],
        gamma=0.2,
    )
    width, dim = drawn.HEAD["width"], drawn.HEAD["dim"]
    model.obj_proj = torch.nn.Conv2d(width, dim, 3, padding=1, padding_mode="replicate")
    model.bkg_decoder = torch.nn.Conv2d(width, 1, 1)
    drawn.draw_weights(model.obj_proj, "convolutions.obj_proj")
    drawn.draw_weights(model.bkg_decoder, "convolutions.bkg_decoder")
    model.found_model = found(authors)
    model.vit_encoder, model.hook_features = hooked(dino(authors, patch_size=8))
    model.dino_T = ours.NORMALIZE

    arrays: dict[str, list] = {}

    def criterion(said, target):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(said, target)
        kind = "correlation" if said.shape[1] > 1 else "foreground"
        arrays.setdefault(f"loss_{kind}", []).append(loss.item())
        arrays.setdefault(f"target_{kind}", []).append(np.packbits(target.numpy() > 0))
        arrays.setdefault(f"said_{kind}", []).append(said.detach().flatten()[:: case.KEPT].numpy())
        return loss

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            for name in ("obj_proj", "bkg_decoder"):
                for kind, parameter in getattr(model, name).named_parameters():
                    part = parameter.grad.flatten()[:: case.KEPT].clone().numpy()
                    arrays.setdefault(f"grad_{name}.{kind}", []).append(part)
            arrays.setdefault("lr", []).append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    train.get_criterion = lambda cfg: criterion
    train.torch.optim.AdamW = Watched
    settings = dict(epochs=1, milestones=[case.MILESTONE], step_lr_gamma=case.GAMMA, **case.RATES)
    images = [(batch.float() / 255,) for batch in case.batches()]
    with tempfile.TemporaryDirectory() as folder:
        train.do_train(model, settings, {"train": images}, folder)
        (path,) = Path(folder).glob("*/last.pt")
        saved = torch.load(path, weights_only=True)
    for name, tensor in saved["model_state_dict"].items():
        arrays[f"weight_{name}"] = tensor.flatten()[:: case.KEPT].numpy()
    return {name: np.asarray(value) for name, value in arrays.items()}


def main() -> None:
    """Read the arguments and write one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--authors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arrays = record(arguments.authors.resolve())
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.out / "dinoiser_training.npz", **arrays)


if __name__ == "__main__":
    main()
