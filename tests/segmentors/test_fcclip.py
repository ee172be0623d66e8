"""FC-CLIP as a whole: words, sizes, tasks, weights, and what it refuses."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmseg.structures import SegDataSample

import ovseg
from ovseg.apis.testing import _load_weights
from ovseg.apis.zoo import config_root
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.errors import CheckpointMismatchError, ConfigError, VocabularyError, WeightsNotFoundError
from ovseg.registry import MODELS
from ovseg.segmentors.fcclip_checkpoint import from_authors
from ovseg.segmentors.fcclip_weights import fcclip_source
from tests.heads import drawn_fcclip as drawn
from tests.heads.drawn_model import authors_state, drawn_fcclip, fcclip_config
from tests.tiny import CLIP


@MODELS.register_module()
class RememberingCriterion(torch.nn.Module):
    """A loss that keeps what it is given."""

    def forward(self, predictions, targets):
        self.predictions, self.targets = predictions, targets
        parts = [p["logits"].square().mean() + p["masks"].square().mean() for p in predictions]
        return {"loss_class": sum(parts)}


def build(kind="convnext", **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        torch.manual_seed(0)
        return MODELS.build(fcclip_config(kind, **settings)).eval()


@pytest.fixture(scope="module", params=["convnext", "resnet"])
def model(request):
    """A model with drawn weights; tests may change its words."""
    return drawn_fcclip(request.param)


def pictures(*sizes):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 256, (3, *s), generator=generator, dtype=torch.uint8) for s in sizes]


def samples(*sizes):
    return [SegDataSample(metainfo={"ori_shape": size}) for size in sizes]


def comparable(sample):
    instances = sample.pred_instances
    return [
        sample.pred_sem_seg.data,
        sample.pred_panoptic.data,
        instances.labels,
        instances.masks,
        torch.tensor([s["category_id"] for s in sample.pred_segments]),
    ]


# -- sizes -------------------------------------------------------------------------------------

SIZES = [(64, 96), (59, 84), (33, 31), (5, 7), (64, 96)]
WANTED = [(64, 96), (40, 61), (33, 31), (5, 7), (100, 50)]


def test_a_batch_gives_what_images_give_alone(model):
    images = pictures(*SIZES)
    together = model.predict(images, samples(*WANTED))
    for image, size, found in zip(images, WANTED, together, strict=True):
        (alone,) = model.predict([image], samples(size))
        assert found.pred_sem_seg.data.shape == found.pred_panoptic.data.shape == (1, *size)
        assert found.pred_instances.masks.shape[1:] == size
        for one, other in zip(comparable(found), comparable(alone), strict=True):
            assert one.shape == other.shape
            assert (one == other).float().mean() > 0.99


def test_labels_are_given_at_the_size_of_inputs_by_default(model):
    (found,) = model.predict(pictures((37, 50)), tasks="semantic")
    assert found.pred_sem_seg.data.shape == (1, 37, 50)
    assert found.areas.sum() == 37 * 50
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_memory_for_bands_changes_nothing(model):
    image, size = pictures((64, 96)), (90, 130)
    results = []
    for band_bytes in (1, 2**26):
        model.band_bytes = band_bytes
        results.append(model.predict(image, samples(size))[0])
    for one, other in zip(*map(comparable, results), strict=True):
        assert one.shape == other.shape and (one == other).float().mean() > 0.999


# -- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "seen"),
    [
        (["zebra"], [False]),
        (["cat"], [True]),
        (["unicorn", "dragon"], [False, False]),
        ({"pet": ["dog", "hamster"], "roof": []}, [True, False]),
        ([f"thing {i}" for i in range(1000)], [False] * 1000),
    ],
)
def test_any_classes_in_one_call(classes, seen):
    model = build()
    model.set_vocabulary(classes)
    assert model.seen.tolist() == seen
    (found,) = model.predict(pictures((40, 50)))
    assert found.pred_sem_seg.data.max() < len(seen)
    assert len(found.areas) == len(found.scores) == len(seen)
    assert all(s["category_id"] < len(seen) for s in found.pred_segments)


def test_words_are_read_once(monkeypatch):
    model = build()
    calls = []
    encode = model.text_encoder.encode
    monkeypatch.setattr(model.text_encoder, "encode", lambda t: calls.append(len(t)) or encode(t))
    for classes in (["cat", "dog"], ["cat", "dog"], ["dog"]):
        model.set_vocabulary(classes)
    assert len(calls) == 2
    model.set_vocabulary(["dog"], background=["sky", "wall"])
    assert model.vocabulary.classes == ("background", "dog")
    assert model.seen.tolist() == [True, True]


def test_fourteen_templates_averaged_as_published():
    model = build(templates="vild14")
    model.set_vocabulary(["cat; kitty", "dog"])
    assert len(model.classifier.templates) == 14
    prompts = [t.replace("{}", "kitty") for t in model.classifier.templates]
    each = torch.nn.functional.normalize(model.text_encoder.encode(prompts), dim=-1)
    expected = torch.nn.functional.normalize(each.mean(0), dim=0)
    torch.testing.assert_close(model.text[1], expected)


def test_no_classes_yet():
    with pytest.raises(ConfigError, match="has no classes yet"):
        build().predict(pictures((32, 32)))


def test_classes_that_cannot_be_used():
    with pytest.raises(VocabularyError):
        build().set_vocabulary([])


# -- masks that hold nothing -------------------------------------------------------------------


def test_masks_without_a_position(model):
    masks = torch.full((1, drawn.QUERIES, 16, 24), -5.0)
    masks[:, 0] = 5.0
    masks[:, 1, 3, 3] = 5.0  # too small for the tower's last map
    logits = torch.randn(1, drawn.QUERIES, len(model.vocabulary) + 1)
    features = torch.randn(1, model.image_encoder.channels["res5"], 2, 3)
    with torch.no_grad():
        found = model.class_probabilities(
            {"masks": masks, "logits": logits}, features, model.words()
        )
    assert found.isfinite().all()
    torch.testing.assert_close(found.sum(-1), torch.ones(1, drawn.QUERIES))
    if model.valid_only:
        torch.testing.assert_close(found[:, 1:], logits[:, 1:].softmax(-1))


# -- tasks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "keys"),
    [
        (("semantic",), {"pred_sem_seg"}),
        ("panoptic", {"pred_panoptic"}),
        (("instance", "panoptic"), {"pred_instances", "pred_panoptic"}),
        (None, {"pred_sem_seg", "pred_panoptic", "pred_instances"}),
    ],
)
def test_only_what_is_asked_for(model, tasks, keys):
    (found,) = model.predict(pictures((32, 40)), tasks=tasks)
    assert set(found.keys()) == keys


def test_segments_fit_the_ids(model):
    (found,) = model.predict(pictures((64, 96)))
    ids = found.pred_panoptic.data[0]
    assert ids.dtype == torch.int32
    assert set(ids.unique().tolist()) - {0} == {s["id"] for s in found.pred_segments}
    for segment in found.pred_segments:
        assert segment["area"] == (ids == segment["id"]).sum()
        assert 0 < segment["score"] <= 1
    instances = found.pred_instances
    assert instances.masks.dtype == torch.bool and (instances.scores >= 0).all()


# -- training ----------------------------------------------------------------------------------


def test_loss():
    model = build(criterion={"type": "RememberingCriterion"}).train()
    batch = samples((64, 96), (40, 50))
    counts = (2, 0)
    for sample, n in zip(batch, counts, strict=True):
        height, width = sample.ori_shape
        masks = torch.ones(n, height, width, dtype=torch.bool)
        sample.gt_segments = InstanceData(labels=torch.arange(n), masks=masks)
    data = model.data_preprocessor(
        {"inputs": pictures((64, 96), (40, 50)), "data_samples": batch}, training=True
    )
    assert data["inputs"].shape == (2, 3, 64, 96) and data["inputs"].dtype == torch.float32
    assert (data["inputs"][1, :, 40:] == 0).all()
    losses = model(**data, mode="loss")
    losses["loss_class"].backward()
    criterion = model.criterion
    assert len(criterion.predictions) == drawn.SIZES["convnext"]["decoder_layers"] + 1
    classes = len(drawn.TRAIN_CLASSES)
    assert criterion.predictions[0]["logits"].shape == (2, drawn.QUERIES, classes + 1)
    assert [(len(labels), masks.shape) for labels, masks in criterion.targets] == [
        (n, (n, 64, 96)) for n in counts
    ]
    assert not criterion.targets[0][1][:, 64:].any()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained and not any(n.startswith(model.frozen_prefixes) for n in trained)
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert not model.image_encoder.training and model.decoder.training


def test_no_loss_without_a_criterion():
    with pytest.raises(ConfigError, match="this model is not trained"):
        build()(torch.zeros(1, 3, 32, 32), [], mode="loss")


# -- weights -----------------------------------------------------------------------------------


def test_the_authors_checkpoint_by_head_weights(tmp_path):
    path = tmp_path / "model_final.pth"
    torch.save({"model": authors_state("convnext", frozen=True)}, path)
    model = build(head={"weights": str(path)})
    expected = authors_state("convnext")["sem_seg_head.predictor.query_feat.weight"]
    torch.testing.assert_close(model.decoder.query.data, expected)
    assert "sha256" in model.fingerprints()["head"]


@pytest.mark.parametrize("layout", ["authors", "ours", "ours with the tower"])
def test_a_checkpoint_of_the_test_tool(layout):
    model = build()
    theirs = authors_state("convnext", frozen=True)
    if layout == "authors":
        weights = {"model": theirs}
    else:
        state = from_authors(theirs, "")[0]
        if layout != "ours":
            tower = model.image_encoder.state_dict()
            state.update({f"image_encoder.{k}": v for k, v in tower.items()})
        weights = {"state_dict": state}
    _load_weights(model, weights, "file")
    torch.testing.assert_close(model.decoder.classifier.void.data, theirs["void_embedding.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sem_seg_head.predictor.static_query.weight": torch.zeros(3)}, "static_query"),
        ({"sem_seg_head.predictor.query_feat.weight": None}, "decoder.query"),
        ({"sem_seg_head.predictor.query_feat.weight": torch.zeros(3, 64)}, "decoder.query"),
    ],
)
@pytest.mark.parametrize("way", ["head", "tool"])
def test_a_checkpoint_of_another_model(tmp_path, change, message, way):
    state = {k: v for k, v in {**authors_state("convnext"), **change}.items() if v is not None}
    with pytest.raises(CheckpointMismatchError, match=message):
        if way == "tool":
            _load_weights(build(), {"model": state}, "file")
        else:
            torch.save({"model": state}, tmp_path / "file.pth")
            build(head={"weights": tmp_path / "file.pth"})


@pytest.mark.parametrize("kind", [*drawn.SIZES])
def test_every_tensor_of_the_authors_has_its_place(kind):
    ours, report = from_authors(authors_state(kind, frozen=True), "")
    model = build(kind)
    heads = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if not name.startswith(model.frozen_prefixes)
    }
    assert {name: tuple(tensor.shape) for name, tensor in ours.items()} == heads
    assert len(report.renamed) == len(ours) and report.unused == ("criterion.empty_weight",)
    assert all(name.startswith("backbone.") for name in report.frozen) and report.frozen


def test_released_weights_have_an_address_and_a_name():
    source = fcclip_source("fcclip_convnext-l", "authors")
    assert source.url.startswith("https://") and source.file_name.endswith(".pth")
    for model, tag in (("fcclip_convnext-b", "authors"), ("fcclip_convnext-l", "openai")):
        with pytest.raises(WeightsNotFoundError, match="authors released"):
            fcclip_source(model, tag)


def test_random_heads_say_so():
    with pytest.warns(RandomWeightsWarning, match="head has random weights"):
        MODELS.build(fcclip_config("convnext", head={"name": "x"}))


# -- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocol": {"crop": 224, "stride": 112}}, "reads images whole"),
        ({"protocol": {"logit_scale": 40}}, "learns its logit scale"),
        ({"alpha": 1.5}, "between 0 and 1"),
        ({"divisor": 20}, "multiple of 32"),
        ({"tasks": ("semantic", "depth")}, "no task 'depth'"),
        ({"tasks": ()}, "no task is asked for"),
        (
            {"image_encoder": {"type": "CLIPViT", "model": CLIP, "pretrained": None}},
            "CLIPViT does not give",
        ),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        build(**settings)


def test_unknown_modes():
    with pytest.raises(ConfigError, match="not 'tensor'"):
        build()(torch.zeros(1, 3, 32, 32), mode="tensor")


# -- the short way -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_create_model():
    model = ovseg.create_model("fcclip_nano", pretrained=None)
    image = np.random.default_rng(0).integers(0, 256, (61, 47, 3), dtype=np.uint8)
    found = model.segment([image, image[:30]], ["grass", "cat", "unicorn"])
    assert found[0].mask.shape == (61, 47) and found[1].mask.shape == (30, 47)
    assert found[0].info["protocol"]["name"] == "nano-whole-256"
    assert model.model.seen.tolist().count(True) >= 1


def test_the_nano_head_is_small():
    config = Config.fromfile(config_root() / "fcclip" / "fcclip_nano.py").model
    config.head = None
    for tower in (config.image_encoder, config.text_encoder):
        tower.pretrained = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build(config)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 0.5e6 < trained < 2.5e6
