"""The numbers of a report of tools/benchmark/speed.py belong together; none is a matter of luck."""

from __future__ import annotations

import importlib.util
import json
import math
import statistics
import sys
from pathlib import Path

import pytest
import torch

from tests.small_methods import give_words, small_method

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def speed():
    path = ROOT / "tools/benchmark/speed.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # where a script finds its neighbors
        spec = importlib.util.spec_from_file_location("benchmark_speed", path)
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


def check(report):
    for part, entry in report["parts"].items():
        for clock in ("wall", "cpu"):
            every = entry[f"{clock}_all"]
            assert len(every) == report["repeats"] and all(seconds >= 0 for seconds in every)
            assert entry[clock] == statistics.median(every)
        assert entry["peak_mib"] is None or entry["peak_mib"] >= 0
        if part != "floor":
            base = report["parts"]["floor"]
            assert entry["ratio"] == entry[report["clock"]] / base[report["clock"]]
            assert math.isfinite(entry["ratio_of_turns"])


def test_a_report_on_random_weights(speed, tmp_path):
    out = tmp_path / "reports" / "nano"
    arguments = ["maskclip_nano", "--size", "40", "60", "--classes", "12", "30", "--random"]
    arguments += ["--repeats", "2", "--device", "cpu", "--out", str(out)]
    reports = speed.main(arguments)
    assert reports == json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert [report["classes"] for report in reports] == [12, 30]
    lines = out.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 + len(reports) and len({line.count("|") for line in lines}) == 1
    for report in reports:
        check(report)
        assert set(report["parts"]) == {"floor", "whole", "plain"}
        assert report["size"] == [40, 60] and report["random_weights"]
        assert report["classes_found"] > 1
        assert report["plain_agreement"] > 0.999
        assert report["passes"] == {"image_encoder.tokens": 1}
        assert report["first"]["image_encoder.tokens"] <= report["first"]["whole"]
    assert reports[0]["times_first_vocabulary"] == 1 and reports[1]["times_first_vocabulary"] > 0


def test_half_precision_is_put_beside_the_same_weights_in_float32(speed):
    arguments = ["maskclip_nano", "--size", "40", "60", "--classes", "12", "--random"]
    arguments += ["--repeats", "2", "--device", "cpu", "--precision", "bf16"]
    (report,) = speed.main([*arguments, "--parts", "floor", "whole", "fp32"])
    check(report)
    assert set(report["parts"]) == {"floor", "whole", "fp32"} and report["precision"] == "bf16"
    assert 0.9 < report["fp32_agreement"] < 1  # not of itself
    seconds = {part: report["parts"][part][report["clock"]] for part in ("whole", "fp32")}
    assert report["times_as_fast_as_fp32"] == seconds["fp32"] / seconds["whole"]


def test_every_vocabulary_has_its_turn(speed, monkeypatch):
    """Each costs as much as a clock says that jumps by the number of its classes."""
    now = [0.0]
    monkeypatch.setattr(speed.time, "process_time", lambda: now[0])
    model = torch.nn.Linear(1, 1)
    monkeypatch.setattr(speed, "labels_of", lambda *_: now.__setitem__(0, now[0] + model.classes))
    words = [lambda model, count=count: setattr(model, "classes", count) for count in (4, 6, 2)]
    assert speed.in_turns(model, None, words, 3) == [1, 1.5, 0.5]


@pytest.mark.parametrize("name", ["proxyclip_vit-b16", "cliptrase_vit-b16", "trident_vit-b16"])
def test_every_pass_of_every_encoder_counts(speed, name):
    made = small_method(name)
    give_words(made)
    image = speed.picture_of((48, 64), None)
    report = {"repeats": 1, **speed.measure(made.model, image, 1)}
    check(report)
    wanted = {"image_encoder.tokens"}
    for encoder, method in (("dino", "features"), ("sam", "encode")):
        if encoder in made.model.encoders:
            wanted.add(f"{encoder}.{method}")
    assert wanted <= set(report["passes"])
    assert report["plain_agreement"] > 0.99


def test_what_is_recorded_is_done_again(speed):
    made = small_method("maskclip_vit-b16")
    encoder = made.model.image_encoder
    images = torch.randn(2, 3, 32, 32)
    with speed.recorded(made.model) as calls:
        encoder.tokens(images)
        encoder.tokens(images, before=2)
    assert "tokens" not in vars(encoder)
    whole, part = (one.again for one in calls)
    assert all(one.name == "image_encoder.tokens" and one.seconds >= 0 for one in calls)
    state = encoder.tokens(images)
    expected = encoder.project(encoder.last_block.plain(state.tokens)[:, 1:])
    torch.testing.assert_close(whole(), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(part().tokens, encoder.tokens(images, before=2).tokens)
