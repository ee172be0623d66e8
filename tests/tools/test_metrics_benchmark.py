"""tools/benchmark/metrics.py: all metrics agree with their references; nothing is timed here."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tools.benchmark import metrics

SMALL = ["--images", "2", "--repeats", "1", "--size", "96", "120"]


def test_drawn_label_maps(capsys):
    titles = [title for title, _ in metrics.main(SMALL)]
    assert titles == ["mIoU", "PQ", "Boundary mIoU"]
    told = capsys.readouterr().out
    assert "2 images of 96 x 120, 150 classes, drawn label maps" in told
    assert len([line for line in told.splitlines() if line.startswith(tuple(titles))]) == 3


def test_masks_of_a_folder_and_a_metric_that_is_wrong(tmp_path, monkeypatch):
    for number in range(2):
        truth = metrics.drawn_truth(number, (96, 120), 150) + np.uint8(1)
        Image.fromarray(truth).save(tmp_path / f"{number}.png")
    assert len(metrics.main([*SMALL, "--masks", str(tmp_path)])) == 3
    monkeypatch.setattr(metrics, "plain_panoptic", lambda samples, classes: -1.0)
    with pytest.raises(SystemExit, match=r"PQ: ours is .* but the reference says -1"):
        metrics.main([*SMALL, "--masks", str(tmp_path)])


def test_a_folder_without_masks_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        metrics.main([*SMALL, "--masks", str(tmp_path)])
    assert f"no PNG files in {tmp_path}" in capsys.readouterr().err
