from __future__ import annotations

import pytest

from ovseg.dense import SlidingWindows, WholeImage
from ovseg.errors import ConfigError
from ovseg.segmentors import Protocol


def test_the_cut_follows_the_numbers():
    sliding = Protocol.load({"crop": 224, "stride": 112}).cut
    assert isinstance(sliding, SlidingWindows)
    assert (sliding.crop, sliding.stride) == (224, 112)
    assert isinstance(Protocol.load(None).cut, WholeImage)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"short_side": 0}, "short_side"),
        ({"crop": 224}, "stride"),
        ({"stride": 112}, "crop"),
        ({"crop": 100, "stride": 112}, "stride"),
        ({"prob_threshold": 1.0}, "prob_threshold"),
        ({"area_threshold": -0.1}, "area_threshold"),
        ({"logit_scale": -40}, "logit_scale"),
        ({"shortside": 336}, "shortside"),
        ({"interpolation": "nearest"}, "interpolation"),
        ({"square": True}, "short_side"),
    ],
)
def test_impossible_numbers_are_refused_by_name(settings, word):
    with pytest.raises(ConfigError, match=word):
        Protocol.load(settings)


@pytest.mark.parametrize(
    ("settings", "needed"),
    [({}, False), ({"prob_threshold": 0.1}, True), ({"area_threshold": 0.1}, True)],
)
def test_thresholds_need_a_background(settings, needed):
    assert Protocol.load(settings).needs_background is needed


def test_a_protocol_survives_its_record():
    protocol = Protocol(name="x", short_side=336, long_side=2048, crop=224, stride=112)
    assert Protocol.load(protocol.as_dict()) == protocol
