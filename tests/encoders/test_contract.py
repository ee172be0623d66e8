"""What holds for every registered image encoder; a new one adds a row to ``ENCODERS``.

A row says how to build a miniature with random weights, which sizes it reads, and what it returns
for images: a function from an encoder and a batch to named float tensors, each with the batch in
its first axis.
"""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable

import pytest
import torch

import ovseg.encoders  # noqa: F401 - registers them
from ovseg.encoders.base import Encoder, RandomWeightsWarning
from ovseg.registry import MODELS

pytestmark = pytest.mark.filterwarnings("ignore::ovseg.encoders.base.RandomWeightsWarning")

TEXT = dict(context_length=16, vocab_size=49408, width=32, heads=2, layers=1)


def clip(**vision):
    return dict(embed_dim=32, vision_cfg=vision, text_cfg=TEXT)


@dataclasses.dataclass(frozen=True)
class Row:
    """One encoder under test."""

    type: str
    options: dict
    outputs: Callable[[Encoder, torch.Tensor], dict[str, torch.Tensor]]
    sizes: tuple[tuple[int, int], ...]
    shapes: Callable[[int, int], dict[str, tuple[int, ...]]]  # height, width to shapes
    tolerance: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"bf16": 5e-2, "fp16": 1e-2}  # of the largest value
    )

    float32: tuple[str, ...] = ()  # parts that keep float32 whatever the precision

    def build(self, **more):
        torch.manual_seed(0)
        return MODELS.module_dict[self.type](**self.options, **more)


def vit_outputs(encoder, images):
    state = encoder.tokens(images)
    block = encoder.last_block
    _, _, v = block.qkv(block.norm1(state.tokens))
    return {
        "tokens": state.tokens,
        "v": v,
        "dense": encoder.project(block.plain(state.tokens)),
        "pooled": encoder(images),
    }


def vit_shapes(patch, prefix=1):
    def shapes(height, width):
        count = prefix + (height // patch) * (width // patch)
        return {"tokens": (count, 64), "v": (4, count, 16), "dense": (count, 32), "pooled": (32,)}

    return shapes


def conv_outputs(encoder, images):
    maps = encoder.multiscale(images)
    return {**maps, "dense": encoder.dense(images), "pooled": encoder(images)}


def conv_shapes(*channels):
    def shapes(height, width):
        strides = {"stem": 4, "res2": 4, "res3": 8, "res4": 16, "res5": 32}
        found = {
            name: (count, height // stride, width // stride)
            for (name, stride), count in zip(strides.items(), channels, strict=True)
        }
        return {**found, "dense": (32, height // 32, width // 32), "pooled": (32,)}

    return shapes


def dino_outputs(encoder, images):
    state = encoder.features(images)
    return {"tokens": state.tokens, "q": state.q, "k": state.k, "v": state.v, "map": state.map("k")}


def dino_shapes(patch):
    def shapes(height, width):
        rows, columns = height // patch, width // patch
        heads = (3, rows * columns, 16)
        tokens = (rows * columns, 48)
        return {"tokens": tokens, "q": heads, "k": heads, "v": heads, "map": (48, rows, columns)}

    return shapes


def dino(model):
    overrides = dict(embed_dim=48, num_heads=3, depth=2)
    return dict(model=model, pretrained=None, overrides=overrides)


def sam_outputs(encoder, images):
    state = encoder.encode(images)
    box = torch.tensor([[2.0, 3.0, 40.0, 30.0]], device=images.device)
    masks = [encoder.prompt_masks(one, boxes=box)[0][0] for one in state.embedding]
    values = encoder.values(state)
    return {
        "embedding": state.embedding,
        "tokens": state.tokens,
        "values": values,
        "mixed": encoder.apply_last_attention(state, values),
        "rows": encoder.attention_rows(state, slice(0, 5)),
        "masks": torch.stack(masks),
    }


def sam_shapes(height, width):
    """Whatever the size: images are padded to the square of 64 pixels."""
    return {
        "embedding": (32, 8, 8),
        "tokens": (64, 48),
        "values": (3, 64, 16),
        "mixed": (3, 64, 16),
        "rows": (3, 5, 64),
        "masks": (3, 32, 32),
    }


SAM_SIZES = dict(
    embed_dim=48, depth=3, num_heads=3, global_attn_indexes=(2,), window_size=3, image_size=64,
    patch_size=8, out_chans=32, decoder_heads=4, decoder_mlp_dim=64, iou_hidden_dim=32,
)  # fmt: skip
VIT = dict(image_size=64, layers=2, width=64, head_width=16, patch_size=16)
VIT_SIZES = ((64, 64), (32, 112), (16, 16))
CONV_SIZES = ((64, 64), (45, 130), (32, 32))

ENCODERS = {
    "clip-vit": Row(
        "CLIPViT",
        dict(model=clip(**VIT), pretrained=None),
        vit_outputs,
        VIT_SIZES,
        vit_shapes(16),
    ),
    "clip-vit-qknorm": Row(
        "CLIPViT",
        dict(model=clip(**VIT, qk_norm=True, ls_init_value=0.1), pretrained=None),
        vit_outputs,
        VIT_SIZES,
        vit_shapes(16),
    ),
    "clip-convnext": Row(
        "CLIPConv",
        dict(
            model=clip(
                timm_model_name="test_convnext", timm_pool="", timm_proj="mlp", image_size=64
            ),
            pretrained=None,
        ),
        conv_outputs,
        CONV_SIZES,
        conv_shapes(24, 24, 32, 48, 64),
    ),
    "clip-resnet": Row(
        "CLIPConv",
        dict(
            model=clip(
                layers=[1, 1, 1, 1], width=16, head_width=32, image_size=64, patch_size=None
            ),
            pretrained=None,
        ),
        conv_outputs,
        CONV_SIZES,
        conv_shapes(16, 64, 128, 256, 512),
    ),
    "dino": Row(
        "DINO",
        dino("vit_small_patch16_224"),
        dino_outputs,
        VIT_SIZES,
        dino_shapes(16),
    ),
    "dinov2-registers": Row(
        "DINO",
        dino("vit_small_patch14_reg4_dinov2"),
        dino_outputs,
        ((70, 70), (28, 112), (14, 14)),
        dino_shapes(14),
    ),
    "dinov3": Row(
        "DINO",
        dino("vit_small_patch16_dinov3"),
        dino_outputs,
        VIT_SIZES,
        dino_shapes(16),
    ),
    "sam": Row(
        "SAM",
        dict(model=SAM_SIZES, pretrained=None),
        sam_outputs,
        ((64, 64), (37, 64), (8, 5)),
        sam_shapes,
        float32=("sam.prompt_encoder", "sam.mask_decoder"),
    ),
}

NOT_IMAGES = {"CLIPText"}  # registered encoders of something else


@pytest.fixture(params=ENCODERS)
def row(request):
    return ENCODERS[request.param]


def _images(batch, height, width, seed=0):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_every_registered_encoder_has_a_row():
    ours = {
        name
        for name, kind in MODELS.module_dict.items()
        if inspect.isclass(kind) and issubclass(kind, Encoder)
    }
    assert ours - NOT_IMAGES == {row.type for row in ENCODERS.values()}


def test_shapes_at_any_size_and_aspect(row):
    encoder = row.build()
    for height, width in row.sizes:
        outputs = row.outputs(encoder, _images(2, height, width))
        found = {name: tuple(output.shape) for name, output in outputs.items()}
        expected = {name: (2, *shape) for name, shape in row.shapes(height, width).items()}
        assert found == expected
        assert all(output.dtype == torch.float32 for output in outputs.values())
        assert all(output.isfinite().all() for output in outputs.values())


def test_a_batch_gives_what_each_image_gives(row):
    encoder = row.build()
    images = _images(3, *row.sizes[1])
    together = row.outputs(encoder, images)
    for i in range(3):
        alone = row.outputs(encoder, images[i : i + 1])
        for name, output in alone.items():
            torch.testing.assert_close(
                output[0], together[name][i], atol=1e-5, rtol=1e-4, msg=f"{name} of image {i}"
            )


def test_different_images_give_different_features(row):
    encoder = row.build()
    one, two = (row.outputs(encoder, _images(1, *row.sizes[0], seed=seed)) for seed in (1, 2))
    for name in one:
        assert (one[name] - two[name]).abs().max() > 1e-4, name


def test_frozen_and_in_evaluation_whatever_is_asked(row):
    encoder = row.build()
    torch.nn.Sequential(encoder).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    images = _images(1, *row.sizes[0]).requires_grad_()
    outputs = row.outputs(encoder, images)
    assert not any(output.requires_grad for output in outputs.values())


def test_nothing_changes_at_forward(row):
    encoder = row.build()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    modules = list(encoder.modules())
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in modules]
    first = row.outputs(encoder, _images(2, *row.sizes[0]))
    row.outputs(encoder, _images(2, *row.sizes[1]))
    again = row.outputs(encoder, _images(2, *row.sizes[0]))
    after = encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert list(encoder.modules()) == modules
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in modules] == hooks


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precision(row, precision):
    images = _images(2, *row.sizes[0])
    exact = row.outputs(row.build(), images)
    encoder = row.build(precision=precision)
    for name, output in row.outputs(encoder, images).items():
        assert output.dtype == torch.float32, name
        error = (output - exact[name]).abs().max() / exact[name].abs().max()
        assert 0 < error < row.tolerance[precision], name
    kinds = {p.dtype for n, p in encoder.named_parameters() if not n.startswith(row.float32)}
    assert kinds == {encoder.dtype} != {torch.float32}


def test_unknown_precision(row):
    with pytest.raises(ValueError, match="precision 'int8' is not known"):
        row.build(precision="int8")


def test_fingerprint(row):
    encoder = row.build()
    first = encoder.fingerprint
    row.outputs(encoder, _images(1, *row.sizes[0]))
    assert encoder.fingerprint == first == row.build().fingerprint
    assert "random" in first


def test_random_weights_warn_once(row):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder = row.build()
        row.outputs(encoder, _images(1, *row.sizes[0]))
    assert [w.category for w in caught].count(RandomWeightsWarning) == 1


def test_normalisation_is_stated(row):
    encoder = row.build()
    assert len(encoder.mean) == len(encoder.std) == 3
    assert all(0 <= mean < 1 for mean in encoder.mean)
    assert all(0 < std <= 1 for std in encoder.std)


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError),
        (torch.zeros(3, 64, 64), ValueError),
        (torch.zeros(1, 64, 64, 3), ValueError),
    ],
)
def test_what_is_no_batch_of_images_is_refused(row, images, error):
    with pytest.raises(error, match=row.type):
        row.outputs(row.build(), images)


def test_device_follows_to(row):
    encoder = row.build().to("meta")
    assert encoder.device.type == "meta"
    outputs = row.outputs(encoder, torch.empty(1, 3, *row.sizes[0], device="meta"))
    assert all(output.device.type == "meta" for output in outputs.values())
