"""The sequence of training samples is a function of the seed and the position."""

from __future__ import annotations

import itertools
import pickle
import random
from typing import ClassVar

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

from ovseg.datasets import draws
from ovseg.datasets.draws import Draw, EndlessSampler, SeededSamples


class Noise:
    """Samples that are random numbers of every kind."""

    metainfo: ClassVar[dict] = dict(classes=("a",))

    def __len__(self):
        return 7

    def __getitem__(self, index):
        numbers = (random.random(), np.random.rand(), torch.rand(()).item())
        return dict(index=index, numbers=numbers, data_samples=SegDataSample())


def draw(count, start=0, rank=0, world=1, seed=3, **settings):
    sampler = EndlessSampler(range(7), seed, **settings)
    sampler.rank, sampler.world_size = rank, world
    sampler.start_at(start)
    return list(itertools.islice(sampler, count))


def test_every_round_shows_all_in_another_order():
    found = draw(21)
    rounds = [found[i : i + 7] for i in (0, 7, 14)]
    assert all(sorted(r) == list(range(7)) for r in rounds)
    assert rounds[0] != rounds[1]
    assert len({d.seed for d in found}) == 21
    assert draw(21) == found
    assert draw(21, seed=4) != found
    assert draw(14, shuffle=False) == [*range(7)] * 2


@pytest.mark.parametrize("start", [0, 5, 7, 16])
def test_going_on_anywhere(start):
    whole = [(int(d), d.seed) for d in draw(30)]
    assert [(int(d), d.seed) for d in draw(10, start)] == whole[start : start + 10]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_sequence(world):
    whole = [(int(d), d.seed) for d in draw(6 * world)]
    parts = [[(int(d), d.seed) for d in draw(6, 0, rank, world)] for rank in range(world)]
    assert [d for turn in zip(*parts, strict=True) for d in turn] == whole


def test_nothing_to_draw_from():
    with pytest.raises(ValueError, match="empty"):
        EndlessSampler([], 0)


def test_draws_travel():
    sent = pickle.loads(pickle.dumps(Draw(4, 99)))
    assert (sent, sent.seed) == (4, 99)


def test_samples_depend_on_their_draw_alone():
    samples = SeededSamples(Noise())
    first = samples[Draw(2, 17)]
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    again = samples[Draw(2, 17)]
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert again["numbers"] == first["numbers"]
    assert again["data_samples"].sample_seed == 17
    assert states == after, "the random numbers of everything else go on as they were"
    assert samples[Draw(2, 18)]["numbers"] != first["numbers"]
    assert "sample_seed" not in samples[2]["data_samples"]
    assert samples.metainfo == Noise.metainfo
    assert len(samples) == 7


def test_workers_change_nothing():
    def numbers(workers):
        dataset = SeededSamples(Noise())
        loader = DataLoader(
            dataset, 3, sampler=EndlessSampler(dataset, 1), num_workers=workers, collate_fn=list
        )
        batches = itertools.islice(loader, 3)
        return [[(int(s["index"]), s["numbers"]) for s in batch] for batch in batches]

    assert numbers(0) == numbers(2)


def test_positions_have_their_own_seeds():
    seeds = {draws.position_seed(seed, p) for seed in range(3) for p in range(100)}
    assert len(seeds) == 300
    assert all(0 <= s < 2**63 for s in seeds)
