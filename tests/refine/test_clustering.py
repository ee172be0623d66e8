from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from ovseg.refine.clustering import dbscan, gram, median_filter


def by_the_book(points, eps, min_samples):
    """DBSCAN as it is told: grow a cluster from every core that has none yet."""
    near = [
        [j for j, q in enumerate(points) if np.linalg.norm(p - q) <= eps or i == j]
        for i, p in enumerate(points)
    ]
    labels = [-1] * len(points)
    cluster = 0
    for i in range(len(points)):
        if labels[i] != -1 or len(near[i]) < min_samples:
            continue
        todo = [i]
        while todo:
            j = todo.pop()
            if labels[j] == -1:
                labels[j] = cluster
                if len(near[j]) >= min_samples:
                    todo += near[j]
        cluster += 1
    return labels


@pytest.mark.parametrize("count", [1, 5, 6, 7, 40])
@pytest.mark.parametrize("parts", [1, 3, 6])
def test_products_of_all_pairs(count, parts):
    rows = torch.randn(count, 9, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gram(rows, parts), rows @ rows.T)


@pytest.mark.parametrize("eps", [0.05, 0.12, 0.2, 0.4])
@pytest.mark.parametrize("min_samples", [1, 3, 6])
def test_clusters_are_those_of_the_book(eps, min_samples):
    points = np.random.default_rng(1).random((120, 2))
    found = dbscan(torch.from_numpy(points), eps, min_samples)
    assert found.tolist() == by_the_book(points, eps, min_samples)


def test_the_cases_above_hold_noise_borders_and_several_clusters():
    points = np.random.default_rng(1).random((120, 2))
    found = dbscan(torch.from_numpy(points), 0.12, 6)
    assert (found == -1).any() and found.max() > 2


@pytest.mark.parametrize(
    ("points", "min_samples", "expected"),
    [
        ([[0.0]], 2, [-1]),
        ([[0.0]], 1, [0]),
        ([[0.0], [10.0], [20.0]], 2, [-1, -1, -1]),
        ([[0.0], [0.0], [0.0]], 3, [0, 0, 0]),
        ([[9.0], [0.0], [9.5], [0.5]], 2, [0, 1, 0, 1]),
        ([[0.0], [1.0], [2.0], [3.0], [4.0]], 3, [0, 0, 0, 0, 0]),  # a chain with two borders
    ],
)
def test_small_cases(points, min_samples, expected):
    assert dbscan(torch.tensor(points), 1.0, min_samples).tolist() == expected


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (12, 8), (28, 28)])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_median_is_scipys(shape, size):
    plane = np.random.default_rng(2).random(shape, np.float32)
    expected = scipy.ndimage.median_filter(plane, size=size)
    np.testing.assert_array_equal(median_filter(torch.from_numpy(plane), size).numpy(), expected)
