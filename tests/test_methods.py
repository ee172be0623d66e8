"""Every training-free method has a config for every benchmark, with its authors' numbers."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from ovseg.apis.zoo import config_root, list_models
from ovseg.segmentors import Protocol
from ovseg.text import Vocabulary

SETS = (
    "ade20k-150",
    "ade20k-847",
    "cityscapes-19",
    "coco-object-81",
    "coco-stuff-171",
    "pascal-context-459",
    "pascal-context-59",
    "pascal-context-60",
    "voc-20",
    "voc-21",
)
MODELS = (
    "maskclip_vit-b16",
    "sclip_vit-b16",
    "sclip_vit-l14",
    "clearclip_vit-b16",
    "clearclip_vit-l14",
    "naclip_vit-b16",
    "naclip_vit-l14",
    "cliptrase_vit-b16",
    "proxyclip_vit-b16",
    "proxyclip_vit-l14",
    "proxyclip_vit-h14",
    "clip_dinoiser_vit-b16",
    "trident_vit-b16",
    "trident_vit-l14",
    "trident_vit-h14",
)


def config_path(model, benchmark=None):
    name = model if benchmark is None else f"{model}_{benchmark}"
    return config_root() / model.split("_vit")[0] / f"{name}.py"


def read(model, benchmark):
    return Config.fromfile(config_path(model, benchmark))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_every_benchmark(model):
    assert config_path(model).is_file()
    assert model in {info.name for info in list_models()}
    assert [s for s in SETS if not config_path(model, s).is_file()] == []


# short side, crop, stride, logit scale, probability threshold, area threshold
PUBLISHED = {
    # SCLIP's files
    ("sclip_vit-b16", "voc-21"): (336, 224, 112, 65, 0.1, 0.1),
    ("sclip_vit-b16", "voc-20"): (336, 224, 112, 40, 0.0, 0.0),
    ("sclip_vit-b16", "pascal-context-60"): (336, 224, 112, 50, 0.1, 0.0),
    ("sclip_vit-b16", "pascal-context-59"): (336, 224, 112, 40, 0.0, 0.0),
    ("sclip_vit-b16", "coco-object-81"): (336, 224, 112, 50, 0.1, 0.0),
    ("sclip_vit-b16", "coco-stuff-171"): (448, 224, 112, 40, 0.0, 0.0),
    ("sclip_vit-b16", "ade20k-150"): (336, 224, 112, 40, 0.0, 0.0),
    ("sclip_vit-l14", "cityscapes-19"): (560, 224, 112, 40, 0.0, 0.0),
    # ClearCLIP's
    ("clearclip_vit-b16", "voc-21"): (448, 448, 224, 50, 0.5, 0.0),
    ("clearclip_vit-b16", "voc-20"): (448, 448, 224, 50, 0.0, 0.0),
    ("clearclip_vit-l14", "pascal-context-60"): (448, 448, 224, 50, 0.15, 0.0),
    ("clearclip_vit-b16", "coco-object-81"): (448, 448, 224, 50, 0.4, 0.0),
    ("clearclip_vit-b16", "cityscapes-19"): (448, 224, 224, 50, 0.0, 0.0),
    # NACLIP's: PASCAL VOC is read whole
    ("naclip_vit-b16", "voc-21"): (336, None, None, 40, 0.1, 0.0),
    ("naclip_vit-l14", "voc-20"): (336, None, None, 40, 0.0, 0.0),
    ("naclip_vit-b16", "pascal-context-60"): (336, 224, 112, 40, 0.1, 0.0),
    ("naclip_vit-b16", "coco-stuff-171"): (336, 224, 112, 40, 0.0, 0.0),
    ("naclip_vit-b16", "coco-object-81"): (336, 224, 112, 40, 0.1, 0.0),
    # CLIPtrase's: squares, read whole
    ("cliptrase_vit-b16", "voc-21"): (336, None, None, None, 0.0, 0.0),
    ("cliptrase_vit-b16", "ade20k-847"): (336, None, None, None, 0.0, 0.0),
    # ProxyCLIP's
    ("proxyclip_vit-b16", "voc-21"): (336, 336, 112, 40, 0.2, 0.0),
    ("proxyclip_vit-h14", "pascal-context-60"): (336, 336, 112, 40, 0.15, 0.0),
    ("proxyclip_vit-b16", "coco-object-81"): (336, 336, 112, 40, 0.25, 0.0),
    ("proxyclip_vit-b16", "coco-stuff-171"): (336, 336, 112, 40, 0.0, 0.0),
    ("proxyclip_vit-l14", "ade20k-150"): (448, 336, 112, 40, 0.0, 0.0),
    ("proxyclip_vit-b16", "cityscapes-19"): (448, 224, 112, 40, 0.0, 0.0),
    ("proxyclip_vit-b16", "ade20k-847"): (448, 336, 112, 40, 0.0, 0.0),
    ("proxyclip_vit-b16", "pascal-context-459"): (448, 336, 112, 40, 0.0, 0.0),
    # CLIP-DINOiser's
    ("clip_dinoiser_vit-b16", "ade20k-150"): (448, 448, 224, 100, 0.0, 0.0),
    ("clip_dinoiser_vit-b16", "cityscapes-19"): (448, 448, 224, 100, 0.0, 0.0),
    ("clip_dinoiser_vit-b16", "coco-object-81"): (448, 448, 224, 100, 0.0, 0.0),
    # Trident's
    ("trident_vit-b16", "voc-21"): (448, 336, 224, 40, 0.2, 0.0),
    ("trident_vit-b16", "voc-20"): (336, 336, 112, 40, 0.0, 0.0),
    ("trident_vit-l14", "pascal-context-60"): (576, 336, 224, 40, 0.15, 0.0),
    ("trident_vit-h14", "coco-object-81"): (448, 336, 224, 40, 0.25, 0.0),
    ("trident_vit-b16", "cityscapes-19"): (688, 336, 224, 40, 0.0, 0.0),
}


@pytest.mark.parametrize(("model", "benchmark"), PUBLISHED, ids=[f"{m}_{b}" for m, b in PUBLISHED])
def test_constants_are_the_published_ones(model, benchmark):
    p = Protocol.load(read(model, benchmark).model.protocol)
    found = (p.short_side, p.crop, p.stride, p.logit_scale, p.prob_threshold, p.area_threshold)
    assert found == PUBLISHED[model, benchmark]
    assert p.long_side == 2048


@pytest.mark.parametrize(
    ("benchmark", "threshold"),
    [("voc-21", 0.99), ("coco-object-81", 0.99), ("pascal-context-60", 0.0), ("voc-20", 0.0)],
)
def test_clip_dinoiser_looks_for_things_on_two_sets_only(benchmark, threshold):
    protocol = read("clip_dinoiser_vit-b16", benchmark).model.protocol
    assert protocol.foreground_threshold == threshold


@pytest.mark.parametrize("benchmark", SETS)
def test_cliptrase_leaves_absent_classes_out(benchmark):
    config = read("cliptrase_vit-b16", benchmark)
    assert config.test_evaluator.absent == "gt"
    assert config.model.protocol.square


# what coarse regions must reach to be shown to SAM, and how far above the mean cosines count
TRIDENT = {
    "ade20k-150": (0.05, 1.2, True),
    "cityscapes-19": (0.1, 3.0, True),
    "coco-object-81": (0.25, 1.2, False),
    "coco-stuff-171": (0.05, 1.2, False),
    "pascal-context-59": (0.15, 1.2, False),
    "voc-20": (0.2, 0.0, False),
}


@pytest.mark.parametrize("benchmark", TRIDENT)
def test_trident_looks_closer_where_its_authors_do(benchmark):
    model = read("trident_vit-b16", benchmark).model
    aggregator = model.aggregator
    found = (model.refiner.coarse_threshold, aggregator.cos_factor, aggregator.mend_negative)
    assert found == TRIDENT[benchmark]


@pytest.mark.parametrize("benchmark", ["voc-20", "voc-21", "cityscapes-19"])
@pytest.mark.parametrize("model", ["naclip_vit-b16", "naclip_vit-l14"])
def test_naclip_ends_with_ten_steps_of_pamr(model, benchmark):
    refiner = read(model, benchmark).model.refiner
    assert (refiner.type, refiner.iterations, tuple(refiner.dilations)) == ("PAMR", 10, (8, 16))


# how many background words, the first of them, and all words of the person and of the ship
WORDS = {
    ("sclip_vit-b16", "voc-21"): (26, "sky", 7, "ship"),
    ("naclip_vit-b16", "voc-21"): (26, "sky", 7, "ship"),
    ("clearclip_vit-b16", "voc-21"): (1, "background", 1, "ship"),
    ("proxyclip_vit-b16", "voc-21"): (26, "sky", 1, "ship"),
    ("cliptrase_vit-b16", "voc-21"): (33, "background", 1, "boat"),
    ("clip_dinoiser_vit-b16", "voc-21"): (1, "background", 1, "boat"),
    ("sclip_vit-b16", "coco-object-81"): (26, "sky", 8, "boat"),
    ("clearclip_vit-b16", "coco-object-81"): (1, "background", 1, "boat"),
    ("proxyclip_vit-b16", "coco-object-81"): (17, "sky", 1, "boat"),
    ("sclip_vit-b16", "pascal-context-60"): (1, "background", 1, "boat"),
    ("clearclip_vit-b16", "pascal-context-60"): (1, "background", 1, "boat"),
    ("proxyclip_vit-b16", "pascal-context-60"): (1, "background", 1, "boat"),
}


@pytest.mark.parametrize(("model", "benchmark"), WORDS, ids=[f"{m}_{b}" for m, b in WORDS])
def test_words_are_those_of_the_authors_class_files(model, benchmark):
    words = Vocabulary.load(read(model, benchmark).model.vocabulary).words
    number, first, persons, ship = WORDS[model, benchmark]
    assert (len(words[0]), words[0][0]) == (number, first)
    (person,) = [w for w in words if w[0] == "person"]
    assert len(person) == persons
    assert (ship,) in words
