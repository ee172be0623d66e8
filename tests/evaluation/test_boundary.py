"""Boundary IoU against its definition, by hand, and on real masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ovseg.datasets.builtin import ADE20K150
from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation.boundary import BoundaryScores, boundary_width
from ovseg.evaluation.kernels import boundary_areas, segment_interior
from tests.evaluation.boundary_reference import boundary_iou, erode


def blobs(seed, classes, shape, void=None):
    """A label map of blobs: the nearest of some points decides."""
    generator = np.random.default_rng(seed)
    points = generator.random((12, 2)) * shape
    labels = generator.integers(0, classes, 12)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    found = labels[((grid[:, :, None] - points) ** 2).sum(-1).argmin(-1)]
    if void is not None:
        found[generator.random(shape) < 0.01] = void
        found[: shape[0] // 6] = void
    return found


@pytest.mark.parametrize("width", [1, 2, 5, 30])
@pytest.mark.parametrize("shape", [(24, 31), (1, 9), (40, 1)])
def test_interior_is_what_erosions_leave(width, shape):
    labels = blobs(width, 4, shape)
    expected = np.zeros(shape, bool)
    for label in range(4):
        expected |= erode(labels == label, width)
    np.testing.assert_array_equal(segment_interior(labels, width), expected)


@pytest.mark.parametrize("shape", [(24, 31), (90, 120)])
@pytest.mark.parametrize("ratio", [0.005, 0.02, 0.1])
def test_areas_equal_the_definition(shape, ratio):
    pairs = [(blobs(s, 5, shape), blobs(s + 50, 5, shape, void=255)) for s in range(3)]
    pairs[0][0][:4] = 9  # no class
    metric = BoundaryScores(ratio=ratio, table=False)
    metric.dataset_meta = dict(classes=tuple("abcdef"))
    scores = metric.summarize([metric.score_image(sample(*p), str(i)) for i, p in enumerate(pairs)])
    expected = boundary_iou(pairs, 6, 255, ratio)
    assert np.isnan(expected[5]) and metric.per_class[5]["IoU"] is None
    found = [row["IoU"] for row in metric.per_class[:5]]
    np.testing.assert_allclose(found, expected[:5], rtol=1e-12)
    assert scores == dict(boundary_mIoU=pytest.approx(np.nanmean(expected)))


def sample(prediction, truth):
    return dict(
        img_path="x.png",
        pred_sem_seg=dict(data=torch.from_numpy(prediction)[None]),
        gt_sem_seg=dict(data=torch.from_numpy(truth)[None]),
    )


def test_by_hand():
    truth = np.zeros((5, 8), int)
    truth[:, 4:] = 1
    moved = np.zeros((5, 8), int)
    moved[:, 5:] = 1
    areas = boundary_areas(moved, truth, 2, 255, 1)
    # Of 20 pixels of class 0 the boundary has 14, shifted by one column 16; they share the border
    # of the image (two rows of 4, 3 pixels at the left).
    assert areas.tolist() == [[11, 9], [16, 12], [14, 14]]


@pytest.mark.parametrize(
    "shape, ratio, width", [((3, 4), 0.02, 1), ((512, 683), 0.02, 17), ((1024, 2048), 0.005, 11)]
)
def test_boundary_width(shape, ratio, width):
    assert boundary_width(shape, ratio) == width


def test_mistakes():
    with pytest.raises(ConfigError, match="ratio is a share"):
        BoundaryScores(ratio=0)
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(3, 2\)"):
        boundary_areas(np.zeros((2, 2), int), np.zeros((3, 2), int), 2, 255, 1)
    metric = BoundaryScores(table=False)
    metric.dataset_meta = dict(classes=("a", "b"))
    with pytest.raises(DatasetError, match="has 4 pixels that are neither"):
        metric.score_image(sample(np.zeros((2, 2), int), np.full((2, 2), 7)), "x.png")


def test_on_real_masks(sample_data):
    dataset = ADE20K150(data_root=str(sample_data / "ADEChallengeData2016"))
    pairs = []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        truth = info["label_reader"].read(info["seg_map_path"]).astype(int)[::2, ::2]
        prediction = np.roll(truth, (2, -3), axis=(0, 1))
        prediction[40:60] = 3
        pairs.append((np.where(prediction == 255, 0, prediction), truth))
    metric = BoundaryScores(table=False)
    metric.dataset_meta = dataset.metainfo
    scores = metric.summarize([metric.score_image(sample(*p), str(i)) for i, p in enumerate(pairs)])
    expected = boundary_iou(pairs, 150, 255)
    found = [np.nan if row["IoU"] is None else row["IoU"] for row in metric.per_class]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert 0 < scores["boundary_mIoU"] < 100
