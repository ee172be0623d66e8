from __future__ import annotations

import pytest
import torch

from ovseg.encoders import CLIPConv
from ovseg.errors import ConfigError

KINDS = ["convnext", "convnext-mlp", "resnet"]


@pytest.fixture(params=KINDS)
def pair(request, tiny_clip):
    config, model, path = tiny_clip(request.param)
    return CLIPConv(config, pretrained=None, weights=path), model


def test_forward_is_encode_image(pair):
    encoder, model = pair
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model.encode_image(images)
    torch.testing.assert_close(encoder(images), expected, atol=1e-5, rtol=1e-4)


def test_maps_are_the_stages_of_open_clip(pair):
    encoder, model = pair
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        inner = model.visual.forward_intermediates(images, intermediates_only=True)
    expected = inner["image_intermediates"]
    maps = encoder.multiscale(images)
    assert list(maps) == ["stem", "res2", "res3", "res4", "res5"]
    for name, reference in zip(list(maps)[-len(expected) :], expected, strict=True):
        torch.testing.assert_close(maps[name], reference)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (70, 130), (45, 257)])
def test_any_size(pair, size):
    encoder, _ = pair
    images = torch.randn(1, 3, *size)
    maps = encoder.multiscale(images)
    for name, stride in encoder.strides.items():
        shape = (1, encoder.channels[name], size[0] // stride, size[1] // stride)
        assert maps[name].shape == shape, name
        assert maps[name].dtype == torch.float32
    assert encoder.dense(images).shape == (1, 32, size[0] // 32, size[1] // 32)
    assert encoder(images).shape == (1, 32)


def test_dense_is_the_head_at_each_position(pair):
    encoder, _ = pair
    images = torch.randn(2, 3, 64, 96)
    last = encoder.multiscale(images)["res5"]
    dense = encoder.dense(images)
    for row, column in [(0, 0), (1, 2), (0, 1)]:
        alone = encoder.embed_pooled(last[:, None, :, row, column])[:, 0]
        torch.testing.assert_close(dense[:, :, row, column], alone)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_map_embeds_as_the_whole_image(tiny_clip, kind):
    config, model, path = tiny_clip(kind)
    encoder = CLIPConv(config, pretrained=None, weights=path)
    if kind == "resnet":  # its pooling adds positions, which no single vector has
        encoder.visual.attnpool.positional_embedding.zero_()
        model.visual.attnpool.positional_embedding.data.zero_()
    vector = torch.randn(encoder.channels["res5"])
    constant = vector[None, :, None, None].expand(1, -1, 2, 2)
    with torch.no_grad():
        if kind == "resnet":
            expected = model.visual.attnpool(constant)
        else:
            expected = model.visual.head(model.visual.trunk.forward_head(constant))
    dense = encoder.embed_map(constant)
    for row in range(2):
        torch.testing.assert_close(dense[:, :, row, row], expected, atol=1e-5, rtol=1e-5)


def test_one_position_is_the_whole_image_of_a_convnext(tiny_clip):
    config, _, path = tiny_clip("convnext-mlp")
    encoder = CLIPConv(config, pretrained=None, weights=path)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(encoder.dense(images)[:, :, 0, 0], encoder(images))


def test_resnet_pooling_at_other_sizes_uses_the_resized_embedding(tiny_clip):
    from ovseg.encoders.position import resize_position_embedding

    config, model, path = tiny_clip("resnet")
    encoder = CLIPConv(config, pretrained=None, weights=path, position="bicubic")
    images = torch.randn(1, 3, 96, 96)
    pool = model.visual.attnpool
    pool.positional_embedding = torch.nn.Parameter(
        resize_position_embedding(pool.positional_embedding, (3, 3), "bicubic")
    )
    with torch.no_grad():
        expected = model.encode_image(images)
    torch.testing.assert_close(encoder(images), expected, atol=1e-5, rtol=1e-4)


def test_gradients_flow_through_embed_pooled(pair):
    encoder, _ = pair
    vectors = torch.randn(2, 3, encoder.channels["res5"], requires_grad=True)
    embedded = encoder.embed_pooled(vectors)
    assert embedded.shape == (2, 3, 32)
    embedded.sum().backward()
    assert vectors.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [(31, 64), (64, 8)])
def test_too_small(pair, size):
    with pytest.raises(ValueError, match=f"image size {size[0]} x {size[1]} is below 32 x 32"):
        pair[0].multiscale(torch.randn(1, 3, *size))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("ViT-B-16", "use CLIPViT"),
        ("ViTamin-S", "reads ConvNeXt and CLIP's ResNets only"),
        ("swin_base_patch4_window7_224", "reads ConvNeXt"),
    ],
)
def test_other_trunks(model, says):
    with pytest.raises(ConfigError, match=says):
        CLIPConv(model, pretrained=None)


def test_unknown_position(tiny_config):
    with pytest.raises(ValueError, match="position 'nearest' is not known"):
        CLIPConv(tiny_config("resnet"), pretrained=None, position="nearest")


def test_what_is_under_masks(pair):
    encoder, _ = pair
    features = encoder.multiscale(torch.randn(2, 3, 96, 128))["res5"]
    inside = torch.zeros(2, 3, 3, 4, dtype=torch.bool)
    inside[:, 0], inside[:, 1, :2, 1:3] = True, True  # all, a part, nothing
    with torch.no_grad():
        found = encoder.embed_masked(features, inside)
        assert found.shape == (2, 3, 32) and found.isfinite().all()
        changed = features.clone()
        changed[:, :, 2] *= -1  # a row outside the part
        again = encoder.embed_masked(changed, inside)
        if encoder.is_resnet:  # the mean of all positions asks
            assert not torch.allclose(found[:, 1], again[:, 1])
        else:
            torch.testing.assert_close(found[:, 1], again[:, 1])
            whole = encoder.embed_pooled(features.mean((2, 3))[:, None])[:, 0]
            torch.testing.assert_close(found[:, 0], whole, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(found[:, 0], again[:, 0])
