"""Names, types and contents of saved predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from ovseg.evaluation.predictions import SavePredictions, encode_label_map, prediction_names

NAMES = {
    "plain": (["a.jpg", "b.jpg"], ["a.png", "b.png"]),
    "folders are kept": (["x/a.jpg", "y/a.jpg"], ["x/a.png", "y/a.png"]),
    "same stem": (["a.jpg", "a.png", "b.jpg"], ["a.jpg.png", "a.png.png", "b.png"]),
    "same but for case": (["A.jpg", "a.jpg"], ["A.jpg.png", "a.jpg.png"]),
    "dots": (["v1.2_x.jpg", "scene-7"], ["v1.2_x.png", "scene-7.png"]),
}


@pytest.mark.parametrize("case", NAMES)
def test_names(case):
    keys, names = NAMES[case]
    assert [prediction_names(keys)[key] for key in keys] == names


@pytest.mark.parametrize(
    "classes, dtype, void", [(2, np.uint8, 255), (255, np.uint8, 255), (256, np.uint16, 65535)]
)
def test_label_maps(classes, dtype, void):
    labels = np.array([[0, classes - 1, -1, classes, 70000]])
    encoded = encode_label_map(labels, classes)
    assert encoded.dtype == dtype and encoded.tolist() == [[0, classes - 1, void, void, void]]


def test_too_many_classes():
    with pytest.raises(ValueError, match="65535"):
        encode_label_map(np.zeros((1, 1), int), 65536)


def outputs(path, labels):
    sample = SegDataSample(metainfo=dict(img_path=str(path)))
    sample.pred_sem_seg = PixelData(data=torch.tensor(labels)[None])
    return [sample]


@pytest.mark.parametrize("from_file", [True, False], ids=["file", "rendered"])
def test_files(tmp_path, from_file):
    root = tmp_path / "images"
    (root / "a").mkdir(parents=True)
    if from_file:
        Image.new("RGB", (3, 2), (9, 9, 9)).save(root / "a" / "x.png")
    drawn = []

    def draw(image, labels, classes):
        drawn.append((image, labels, classes))
        return image

    hook = SavePredictions(
        [f"c{i}" for i in range(300)],
        ["a/x.png"],
        str(root),
        out_dir=tmp_path / "out",
        show_dir=tmp_path / "show",
        draw=draw,
    )
    labels = [[0, 255, 299], [1, 2, -1]]
    batch = dict(inputs=[torch.full((3, 4, 6), 9, dtype=torch.uint8)])  # resized to twice the size
    hook.after_test_iter(None, 0, batch, outputs(root / "a" / "x.png", labels))
    saved = np.asarray(Image.open(tmp_path / "out" / "a" / "x.png"))
    assert saved.astype(int).tolist() == [[0, 255, 299], [1, 2, 65535]]
    image, seen, classes = drawn[0]
    assert image.shape == (2, 3, 3) and (image == 9).all() and len(classes) == 300
    assert seen.tolist() == labels
    assert (tmp_path / "show" / "a" / "x.png").is_file()
    assert not list(tmp_path.rglob("*.part"))
