from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample
from PIL import Image

from ovseg.apis.training import train_model
from ovseg.errors import ConfigError
from tests.segmentors.distillers import clipself_case as case
from tests.segmentors.distillers.run import clipself_config
from tests.segmentors.distillers.towers import batch, drawn, pairs_sample, samples, tower_config
from tests.timm_clips import TEXT

pytestmark = pytest.mark.filterwarnings("ignore::ovseg.encoders.base.RandomWeightsWarning")

CLIP = {**tower_config("vit")["model"], "text_cfg": {**TEXT, "bpe_file": "nano_bpe.txt.gz"}}
TEXT_TOWER = {"type": "CLIPText", "model": CLIP, "pretrained": None}
OPTIONS = {"text_encoder": TEXT_TOWER, "templates": "none", "keep_start": False}


@pytest.fixture
def pairs(tmp_path):
    """Four pictures with boxes and words, in COCO's layout."""
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(4)]
    for image in images:
        pixels = case.draw(image["file_name"], (30, 40, 3)) * 60 + 120
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / image["file_name"])
    boxes = [
        {"image_id": i, "bbox": [5 * k, 2, 20, 20], "category_id": (3, 8, 11)[(i + k) % 3]}
        for i in range(4)
        for k in range(2)
    ]
    words = [{"id": 11, "name": "wall"}, {"id": 3, "name": "cat"}, {"id": 8, "name": "red ball"}]
    content = {"images": images, "annotations": boxes, "categories": words}
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(content))
    return path


def test_words_are_those_of_the_file_in_the_order_of_their_ids(pairs):
    model = drawn("vit", "RegionCLIP", words=str(pairs), **OPTIONS)
    assert model.train_words().shape == (3, case.SIZES["embed_dim"])
    named = drawn("vit", "RegionCLIP", words=["cat", "red ball", "wall"], **OPTIONS)
    named.text_encoder.load_state_dict(model.text_encoder.state_dict(), strict=False)
    assert [*model._load_words().classes] == [*named._load_words().classes]


def test_a_run_learns_the_pairs(pairs, tmp_path):
    config = clipself_config(tmp_path / "work", **{"train_cfg.max_iters": 12})
    config.model = dict(
        type="RegionCLIP", student=tower_config("vit"), words=str(pairs), num_words=2, **OPTIONS
    )
    config.train_dataloader.dataset.dataset = dict(
        type="ImageFolder",
        data_root=str(tmp_path),
        ann_file="pairs.json",
        words=True,
        pipeline=[
            dict(type="LoadImage"),
            dict(type="GivenBoxes", min_size=0, shuffle=False),
            dict(type="PackRegions", size=48, crop_size=None),
        ],
    )
    config.param_scheduler = []
    train_model(config)
    (path,) = (tmp_path / "work").glob("*/vis_data/scalars.json")
    rows = [json.loads(line)["loss"] for line in path.read_text().splitlines()]
    assert rows[-1] < 0.7 * rows[0]
    assert (tmp_path / "work" / "tower.safetensors").is_file()


@pytest.mark.parametrize(("labels", "count"), [([1, 1, 4], 5), ([0, 1, 2, 3, 4, 5], 6), ([], 5)])
def test_words_are_filled_up(labels, count):
    model = drawn("vit", "RegionCLIP", words=["a"], num_words=5, **OPTIONS)
    model.text = torch.zeros(9, 4)
    labels = torch.tensor(labels, dtype=torch.long)
    chosen = model.choose_words(labels, [7, 8])
    assert len(chosen) == len(set(chosen.tolist())) == count
    assert set(labels.tolist()) <= set(chosen.tolist())
    assert torch.equal(chosen, model.choose_words(labels, [8, 7]))


def test_bad_input():
    model = drawn("vit", "RegionCLIP", words=["a", "b"], **OPTIONS)
    inputs = batch(model, samples("given"))["inputs"][:1]
    pair = pairs_sample(np.array([[0, 0, 1, 1]], np.float32), (2,))
    with pytest.raises(ConfigError, match="word number 2, but there are 2"):
        model.loss(inputs, [pair], [pair.gt_regions.boxes])
    del pair.gt_regions.labels
    with pytest.raises(ConfigError, match="needs boxes with words"):
        model.loss(inputs, [pair], [pair.gt_regions.boxes])
    with pytest.raises(ConfigError, match="did not keep the tower"):
        model.save_tower("nowhere.safetensors", blend=0.5)
    with pytest.raises(ConfigError, match="num_words must be at least 1"):
        drawn("vit", "RegionCLIP", words=["a"], num_words=0, **OPTIONS)


def test_sizes_are_drawn_by_the_seed_of_a_sample():
    model = drawn("vit", sizes=(32, 48, 96))
    seeds = [SegDataSample(metainfo={"sample_seed": seed}) for seed in range(40)]
    sizes = model._draw_sizes(40, seeds)
    assert set(sizes) == {32, 48, 96}
    assert model._draw_sizes(3, seeds[7:10]) == sizes[7:10]
    assert set(model._draw_sizes(40, ())) == {32, 48, 96}


def test_features_do_not_depend_on_the_company():
    model = drawn("vit", sizes=(32, 48)).eval()
    data = batch(model, samples("grid"))
    for seed, sample in zip((1, 2), data["data_samples"], strict=True):
        sample.set_metainfo({"sample_seed": seed})
    parts = [data["inputs"], data["boxes"], data["data_samples"]]
    with torch.no_grad():
        together = model.student_features(*parts)
        alone = [model.student_features(*(p[i : i + 1] for p in parts)) for i in range(2)]
    torch.testing.assert_close(torch.cat(alone), together, atol=1e-5, rtol=1e-5)


def test_crops_are_needed():
    model = drawn("vit")
    data = batch(model, samples("given", crop_size=None))
    with pytest.raises(ConfigError, match="set crop_size of PackRegions"):
        model(**data)
    with pytest.raises(ConfigError, match="predicts nothing"):
        model(**data, mode="predict")
