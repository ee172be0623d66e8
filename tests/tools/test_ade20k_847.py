"""ADE20K-847 from the full release, in miniature and from its real images."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.builtin import ADE20K847
from ovseg.datasets.label_ids import ADE20K_847_IDS
from tests.datasets.files import PIPELINE
from tests.tools.converters import ade20k_847

PLACE = "images/ADE/validation/urban/street"


def run(root, *arguments):
    return ade20k_847.main([str(root), "--workers", "0", *arguments])


def write(root, name, numbers, size=None):
    """An image of the release: its numbers are spelled by red (in tens) and green."""
    folder = root / PLACE
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.array(numbers)
    mask = np.stack([numbers // 256 * 10 + 7, numbers % 256, numbers % 3], -1).astype(np.uint8)
    Image.fromarray(mask).save(folder / f"{name}_seg.png")
    Image.fromarray(np.full((*(size or numbers.shape), 3), 200, np.uint8)).save(
        folder / f"{name}.jpg"
    )


def labels(root, name):
    path = root / f"annotations_detectron2/validation/{name}.tif"
    return np.asarray(Image.open(path))


def test_numbers_become_classes_of_16_bits(tmp_path):
    unknown = next(n for n in range(1, 3000) if n not in ADE20K_847_IDS)
    row = [0, unknown, *(ADE20K_847_IDS[k] for k in (0, 255, 256, 846))]
    write(tmp_path, "ADE_val_00000001", [row] * 4)
    assert run(tmp_path) == 0
    written = labels(tmp_path, "ADE_val_00000001")
    assert written.dtype == np.uint16
    assert written[0].tolist() == [65535, 65535, 0, 255, 256, 846]
    dataset = ADE20K847(data_root=str(tmp_path), pipeline=PIPELINE)
    truth = dataset[0]["data_samples"].gt_sem_seg.data[0]
    np.testing.assert_array_equal(truth, written)
    assert dataset.layout.ann_file == "validation.txt"


@pytest.mark.parametrize(
    "size, reduced",
    [
        ((100, 80), (100, 80)),
        ((512, 700), (512, 700)),
        ((513, 513), (512, 512)),
        ((700, 513), (699, 512)),
        ((513, 1031), (512, 1029)),
        ((1400, 613), (1169, 512)),
    ],
)
def test_reduced_size(size, reduced):
    assert ade20k_847.reduced_size(*size) == reduced


def test_a_large_image_and_its_labels_are_reduced_alike(tmp_path):
    numbers = np.full((520, 640), ADE20K_847_IDS[5])
    numbers[:260] = ADE20K_847_IDS[700]
    write(tmp_path, "ADE_val_00000001", numbers)
    assert run(tmp_path) == 0
    written = labels(tmp_path, "ADE_val_00000001")
    assert written.shape == (512, 630) and set(np.unique(written)) == {5, 700}
    reduced = Image.open(tmp_path / "images_detectron2/validation/ADE_val_00000001.jpg")
    assert reduced.size == (630, 512)


def test_an_unfinished_conversion_does_not_pass_for_the_whole(tmp_path, capsys):
    write(tmp_path, "ADE_val_00000001", [[2978]])
    write(tmp_path, "ADE_val_00000002", [[2978]], size=(2, 2))
    assert run(tmp_path) == 2
    assert "ADE_val_00000002_seg.png is 1 x 1 pixels but its image 2 x 2" in capsys.readouterr().err
    with pytest.raises(ValueError, match="1 of 2 images of ADE20K847 are missing"):
        ADE20K847(data_root=str(tmp_path))
    write(tmp_path, "ADE_val_00000002", [[312]])
    assert run(tmp_path) == 0
    assert len(ADE20K847(data_root=str(tmp_path))) == 2


@pytest.mark.parametrize("arguments", [[], ["--overwrite"]])
def test_an_image_that_is_added_is_listed(tmp_path, capsys, arguments):
    for k in (1, 2):
        write(tmp_path, f"ADE_val_0000000{k}", [[2978]])
    assert run(tmp_path) == 0
    write(tmp_path, "ADE_val_00000003", [[312]])
    assert run(tmp_path, *arguments) == 0
    assert f"3 images with labels in {tmp_path}" in capsys.readouterr().out
    assert len(ADE20K847(data_root=str(tmp_path))) == 3


def no_images(root):
    (root / PLACE).mkdir(parents=True)


def no_mask(root):
    write(root, "ADE_val_00000001", [[2978]])
    (root / PLACE / "ADE_val_00000001_seg.png").unlink()


@pytest.mark.parametrize(
    "prepare, message",
    [(no_images, "There are no images"), (no_mask, "00001_seg.png cannot be read")],
)
def test_one_clear_error(tmp_path, capsys, prepare, message):
    prepare(tmp_path)
    assert run(tmp_path) == 2
    assert message in capsys.readouterr().err


def test_real_images(sample_data, tmp_path):
    name, street = "ADE_train_00016869", "images/ADE/training/urban/street"
    (tmp_path / street).mkdir(parents=True)
    for suffix in (".jpg", "_seg.png"):
        source = sample_data / "ADE20K_2021_17_01" / street / f"{name}{suffix}"
        shutil.copy(source, tmp_path / street)
    assert run(tmp_path, "--split", "training") == 0
    dataset = ADE20K847(
        data_root=str(tmp_path),
        data_prefix=dict(
            img_path="images_detectron2/training", seg_map_path="annotations_detectron2/training"
        ),
        ann_file="training.txt",
        pipeline=PIPELINE,
    )
    sample = dataset[0]["data_samples"]
    assert sample.ori_shape == (512, 683)
    truth = sample.gt_sem_seg.data[0].numpy()
    content = (sample_data / "ADE20K_2021_17_01" / street / f"{name}.json").read_bytes()
    things = json.loads(content.decode("latin-1"))["annotation"]["object"]
    whole = {t["name"].split(",")[0] for t in things if t["parts"]["part_level"] == 0}
    drawn = {dataset.metainfo["classes"][k] for k in np.unique(truth) if k < 65535}
    assert {"building", "sky", "road", "person", "traffic light"} <= whole & drawn
    assert len(drawn) > 10
