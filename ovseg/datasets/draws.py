"""Which sample is drawn when, and with which random numbers: a function of seed and position.

The training samples of a run are one endless sequence. What stands at a position depends on the
seed of the run only, so that a run goes on where it was stopped, and is the same on one process
and on several, with any number of workers.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from ovseg.registry import DATA_SAMPLERS, DATASETS

__all__ = ["Draw", "EndlessSampler", "SeededSamples", "position_seed"]


def position_seed(seed: int, position: int) -> int:
    """Number from 0 to 2^63 - 1 for a position of a run's sequence."""
    words = np.random.SeedSequence((seed, position)).generate_state(1, np.uint64)
    return int(words[0]) >> 1


class Draw(int):
    """Index of a sample that knows what its random numbers are drawn from."""

    seed: int

    def __new__(cls, index: int, seed: int) -> Draw:
        """An ``index`` that carries a ``seed``."""
        draw = super().__new__(cls, index)
        draw.seed = seed
        return draw

    def __reduce__(self) -> tuple:
        return Draw, (int(self), self.seed)


@DATA_SAMPLERS.register_module()
class EndlessSampler(Sampler):
    """The sequence of training samples: one random order of the dataset after another.

    Several processes take turns, so that together they draw in each iteration what one process with
    their common batch size would.

    Args:
        dataset: What is drawn from.
        seed: Of the run; None takes one that all processes agree on.
        shuffle: Off, the dataset is repeated in its own order.
    """

    def __init__(self, dataset: Sized, seed: int | None = None, shuffle: bool = True) -> None:
        if len(dataset) == 0:
            raise ValueError("There is nothing to draw from: the dataset is empty.")
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle
        self.start = 0

    def start_at(self, position: int) -> None:
        """Let the next iteration begin at a position of the common sequence."""
        self.start = position

    def order(self, epoch: int) -> np.ndarray:
        """Order of the dataset when it is gone through for the ``epoch``-th time."""
        if not self.shuffle:
            return np.arange(self.size)
        # A number that no position has, so that orders and samples are drawn apart.
        return np.random.default_rng((self.seed, 1, epoch)).permutation(self.size)

    def __iter__(self) -> Iterator[Draw]:
        position = self.start + self.rank
        epoch, order = -1, None
        while True:
            if position // self.size != epoch:
                epoch = position // self.size
                order = self.order(epoch)
            yield Draw(int(order[position % self.size]), position_seed(self.seed, position))
            position += self.world_size

    def __len__(self) -> int:
        """Samples of one process until all have been drawn once."""
        return -(-self.size // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Nothing: the sequence has no end."""


@contextlib.contextmanager
def random_state_of(seed: int) -> Iterator[None]:
    """Context in which Python's, NumPy's and torch's random numbers are those of a seed."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(np.random.SeedSequence(seed).generate_state(4))
        torch.random.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@DATASETS.register_module()
class SeededSamples:
    """A dataset whose samples are made with the random numbers of their `Draw`.

    Samples tell theirs as ``sample_seed`` in their metainfo. Indices that are no draws are passed
    on as they are.

    Args:
        dataset: Config of the dataset, or the dataset.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    @property
    def metainfo(self) -> dict:
        """Of the dataset."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the list of samples, as MMEngine asks for."""
        if hasattr(self.dataset, "full_init"):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        if not isinstance(index, Draw):
            return self.dataset[index]
        with random_state_of(index.seed):
            sample = self.dataset[int(index)]
        sample["data_samples"].set_metainfo({"sample_seed": index.seed})
        return sample
