from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import warnings

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.apis.testing import test_model as score
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.utils.letterbox import mask_box
from tests.tiny import CLIP

TOWER = {"model": CLIP, "pretrained": None}


def model_config(**settings):
    return {
        "type": "RegionClassifier",
        "image_encoder": {"type": "CLIPViT", **TOWER},
        "text_encoder": {"type": "CLIPText", **TOWER},
        "size": 48,
        "min_size": 4,
        "templates": "none",
        **settings,
    }


def build(**settings):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        return MODELS.build(model_config(vocabulary=["a", "b; c", "d"], **settings))


def scene():
    """An image of 40 x 30 pixels with a thing, stuff, a speck, and a segment without pixels."""
    ids = np.zeros((30, 40), np.int32)
    ids[5:20, 10:30], ids[22:, :], ids[0, 0] = 7, 8, 9
    segments = [
        dict(id=i, category_id=c, isthing=t, iscrowd=0, area=1)
        for i, c, t in ((7, 0, True), (8, 1, False), (9, 2, True), (11, 2, True))
    ]
    sample = SegDataSample(metainfo={"segments_info": segments, "img_path": "x"})
    sample.gt_panoptic = PixelData(data=torch.from_numpy(ids)[None])
    image = torch.randint(0, 256, (3, 30, 40), generator=torch.Generator().manual_seed(1))
    return image.to(torch.uint8), sample, ids


def test_regions_that_count_and_their_cosines():
    model = build()
    image, sample, ids = scene()
    (found,) = model.predict([image], [sample])
    regions = found.pred_regions
    assert regions.ids.tolist() == [7, 8]
    for way in ("boxes", "masks", "crops"):
        assert regions[way].shape == (2, 3)
        assert regions[way].abs().max() <= 1 + 1e-5
    # By hand: the largest of the words of "b" and "c", of what the mask holds.
    from PIL import Image

    from ovseg.dense import dense_map, mask_features

    pixels = model._pixels([Image.fromarray(image.permute(1, 2, 0).numpy())])
    masks = model.resize_masks(torch.from_numpy(np.stack([ids == 7, ids == 8])))
    assert masks.shape == (2, 6, 6) and not masks[:, 5].any()  # 30 of 40 rows: below is nothing
    with torch.no_grad():
        pooled = mask_features(dense_map(model.image_encoder, pixels), [masks])
    cosines = F.normalize(pooled, dim=-1) @ model.text.T
    expected = torch.stack([cosines[:, 0], cosines[:, 1:3].amax(1), cosines[:, 3]], 1)
    torch.testing.assert_close(regions.masks, expected)


def test_ways_and_rules_can_be_chosen():
    image, sample, _ = scene()
    plain = build(ways=["masks"], attention={"type": "PlainAttention"})
    (found,) = plain.predict([image], [sample])
    assert set(found.pred_regions.keys()) == {"ids", "masks"}
    image, other, _ = scene()
    (published,) = build(ways=["masks"]).predict([image], [other])
    assert not torch.allclose(found.pred_regions.masks, published.pred_regions.masks)


def test_an_image_without_regions():
    image, sample, _ = scene()
    sample.gt_panoptic.data.zero_()
    (found,) = build().predict([image], [sample])
    assert found.pred_regions.boxes.shape == (0, 3)


def test_antialiased_masks_are_larger():
    mask = torch.zeros(1, 48, 48)
    mask[0, 9:22, 9:22] = 1
    plain, smooth = build(), build(mask_resize="bicubic_antialias")
    assert smooth.resize_masks(mask).sum() > plain.resize_masks(mask).sum()


def test_box_of_a_mask():
    mask = np.zeros((5, 9), bool)
    mask[2:4, 3:8] = True
    assert mask_box(mask) == (3, 2, 8, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 50}, "size must be a multiple of the patch size 8"),
        ({"crop_size": 4}, "crop_size must be a multiple"),
        ({"ways": ["points"]}, "ways must be some of boxes, masks, crops"),
        ({"mask_resize": "nearest"}, "mask_resize must be"),
        ({"context": 0.5}, "context 0.5"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        build(**settings)


def test_a_ground_truth_is_needed():
    image, sample, _ = scene()
    model = build()
    with pytest.raises(ConfigError, match="reads the segments of a ground truth"):
        model.predict([image], [SegDataSample()])
    model.vocabulary = model._wanted = None
    with pytest.raises(ConfigError, match="no classes yet"):
        model.predict([image], [sample])


# -- as a run --------------------------------------------------------------------------------------


def run_config(work, length=4, **settings):
    """The packaged nano CLIP on a few scenes."""
    nano = {"model": "nano-vit-8", "pretrained": "ovseg"}
    model = model_config(
        image_encoder={"type": "CLIPViT", **nano}, text_encoder={"type": "CLIPText", **nano},
        size=64, **settings,
    )  # fmt: skip
    return Config(
        dict(
            default_scope="ovseg",
            work_dir=str(work),
            experiment_name=str(work),
            model=model,
            test_dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type="DefaultSampler", shuffle=False),
                dataset=dict(
                    type="ScenesDataset",
                    split="check",
                    length=length,
                    size=64,
                    pipeline=[
                        dict(type="RenderScene", panoptic=True),
                        dict(type="PackPanoptic", meta_keys=("img_path", "ori_shape")),
                    ],
                ),
            ),
            test_evaluator=[dict(type="RegionAccuracy")],
            test_cfg=dict(type="TestLoop"),
            randomness=dict(seed=0),
            launcher="none",
        )
    )


def test_a_run_that_is_interrupted_gives_the_same(tmp_path, monkeypatch):
    whole = score(run_config(tmp_path / "whole"))
    assert len(whole) == 12 and 0 <= whole["boxes_thing_top1"] <= whole["boxes_thing_top5"] <= 100
    from ovseg.segmentors import RegionClassifier

    predict, seen = RegionClassifier.predict, []

    def interrupted(self, inputs, samples):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(1)
        return predict(self, inputs, samples)

    monkeypatch.setattr(RegionClassifier, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(run_config(tmp_path / "cut"))
    monkeypatch.setattr(RegionClassifier, "predict", predict)
    assert score(run_config(tmp_path / "cut"), resume=True) == whole
    (path,) = (tmp_path / "cut").glob("*/results.json")
    assert json.loads(path.read_text())["resumed_images"] == 2
    with pytest.raises(ConfigError, match="other settings"):
        score(run_config(tmp_path / "cut", context=2.0), resume=True)


def process(rank: int, port: int, work: str) -> None:
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    torch.set_num_threads(1)
    config = run_config(work, length=3)
    config.launcher = "pytorch"
    try:
        with open(f"{work}/scores-{rank}.json", "w") as file:
            json.dump(score(config), file)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="needs forked processes")
def test_two_processes_score_as_one(tmp_path):
    (tmp_path / "two").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=process, args=(r, port, str(tmp_path / "two"))) for r in range(2)
    ]
    for one in processes:
        one.start()
    for one in processes:
        one.join(120)
        if one.is_alive():
            one.kill()
            pytest.fail("a process hangs")
    alone = score(run_config(tmp_path / "one", length=3))
    for rank in range(2):
        found = json.loads((tmp_path / f"two/scores-{rank}.json").read_text())
        assert found == pytest.approx(alone, nan_ok=True)


def test_half_precision_comes_close(tmp_path):
    image, sample, _ = scene()
    (exact,) = build().predict([image], [sample])
    exact = exact.pred_regions.masks
    half = {"type": "CLIPViT", **TOWER, "precision": "bf16"}
    (rough,) = build(image_encoder=half).predict([image], [sample])
    torch.testing.assert_close(rough.pred_regions.masks, exact, atol=0.05, rtol=0.05)
