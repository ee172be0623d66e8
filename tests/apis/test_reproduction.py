"""What is run for a method, and how ours stand beside the published scores."""

from __future__ import annotations

import pytest

from ovseg.apis.reproduction import compare, markdown, plan
from ovseg.errors import ConfigError


def test_plan():
    every = plan("sclip")
    assert {c.model for c in every} == {"sclip_nano", "sclip_vit-b16", "sclip_vit-l14"}
    assert sum(c.model == "sclip_vit-b16" for c in every) == 10
    assert all(c.config.is_file() for c in every)
    assert [c.benchmark for c in plan("sclip_nano")] == ["scenes"]
    asked = plan("sclip_nano", ["voc-20", "scenes"])
    assert [(c.benchmark, c.config is None) for c in asked] == [("voc-20", True), ("scenes", False)]
    names = [c.benchmark for c in plan("fcclip_convnext-l")]
    assert "ade20k-panoptic" in names and "voc-21" in names


@pytest.mark.parametrize(
    "name, benchmarks, message",
    [
        ("sklip", [], "no method or model 'sklip'; did you mean sclip"),
        ("something-else", [], "--list shows"),
        ("sclip", ["ade20k-151"], "no benchmark 'ade20k-151'; did you mean ade20k-150"),
    ],
)
def test_unknown_names(name, benchmarks, message):
    with pytest.raises(ConfigError, match=message):
        plan(name, benchmarks)


def note(images=2000, **scores):
    return dict(scores=scores, images=images, protocol="sclip-336", weights={"image": "x"})


def test_ours_beside_published():
    (comparison,) = plan("sclip_vit-b16", ["ade20k-150"])
    entry = compare(comparison, note(mIoU=16.5, mAcc=30.0), expected=2000)
    assert entry["difference"] == {"mIoU": pytest.approx(0.05)} and entry["remarks"] == []
    assert [row["scores"]["mIoU"] for row in entry["published"]] == [16.45, 16.1, 16.46, 14.6]
    assert entry["record"] == "sclip_vit-b16/ade20k-150/record.json"
    assert entry["config"] == "configs/sclip/sclip_vit-b16_ade20k-150.py"
    text = markdown([entry], "sclip_vit-b16")
    row = "| sclip_vit-b16 | ade20k-150 | mIoU | 16.50 | 16.45 | +0.05 | authors [1] | 2000 |"
    assert row in text and "[1] README of github.com/wangf3014/SCLIP" in text


def test_several_metrics_and_their_absence():
    (comparison,) = plan("fcclip_rn50", ["ade20k-panoptic"])
    entry = compare(comparison, note(PQ=17.0, mIoU=float("nan"), AP=None))
    assert entry["difference"]["PQ"] == pytest.approx(-0.9) and "AP" not in entry["difference"]
    text = markdown([entry], "fcclip_rn50")
    assert "| PQ | 17.00 | 17.9 | -0.90 |" in text and "| AP | - | 9.5 | - |" in text


def remarks(name, benchmark, **options):
    (comparison,) = plan(name, [benchmark])
    return compare(comparison, note(mIoU=1.0), **options)["remarks"]


def test_remarks_tell_what_is_not_comparable():
    assert remarks("sclip_vit-b16", "voc-20", changed=True, expected=1449) == [
        "settings were changed on the command line",
        "2000 images, not the 1449 of the benchmark",
    ]
    assert remarks("naclip_vit-l14", "voc-20") == ["published with other settings: no PAMR"]
    assert remarks("sclip_nano", "voc-20") == ["no published protocol: the model's own settings"]


def test_what_could_not_be_run():
    (comparison,) = plan("sclip_vit-b16", ["voc-20"])
    entry = compare(comparison, problem="Fetch it.", expected=1449)
    assert entry["scores"] is None and entry["record"] is None and entry["remarks"] == []
    text = markdown([entry], "x")
    assert "| - | 81.54 | - |" in text
    assert "- **sclip_vit-b16 on voc-20: not scored.** Fetch it." in text
