import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

import ovseg
from ovseg.apis import SegmentationResult

SCRIPT = Path(__file__).parents[2] / "demo" / "video_demo.py"


class FakeModel:
    def segment(self, images, classes=None, *, batch_size=1):
        return [
            SegmentationResult(i.argmax(axis=-1) % len(classes), classes.classes) for i in images
        ]


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.setattr(ovseg, "create_model", lambda name, **options: FakeModel(), raising=False)
    spec = importlib.util.spec_from_file_location("video_demo", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_clip(demo, tmp_path, capsys):
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for n in range(5):
        writer.write(np.full((48, 64, 3), 40 * n, np.uint8))
    writer.release()
    assert demo.main([str(clip), "--classes", "cat", "dog", "--max-frames", "4"]) == 0
    assert "4 frames written" in capsys.readouterr().out
    assert (tmp_path / "clip_overlay.mp4").stat().st_size > 1000


def test_no_clip(demo, tmp_path, capsys):
    assert demo.main([str(tmp_path / "none.avi"), "--classes", "cat"]) == 2
    (tmp_path / "text.avi").write_text("no video")
    assert demo.main([str(tmp_path / "text.avi"), "--classes", "cat"]) == 1
    assert "no frame" in capsys.readouterr().err
