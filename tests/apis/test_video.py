import cv2
import numpy as np
import pytest

from ovseg.apis.video import segment_video
from ovseg.errors import ImageError, SaveError
from ovseg.visualization import class_colors


@pytest.fixture
def clip(tmp_path):
    """Ten frames of red that turns to blue from the left."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, (161, 91))
    assert writer.isOpened()
    for n in range(10):
        frame = np.zeros((91, 161, 3), np.uint8)
        frame[..., 2] = 200
        frame[:, : 16 * n] = (200, 0, 0)
        writer.write(frame)
    writer.release()
    return path


def read(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            return capture.get(cv2.CAP_PROP_FPS), frames
        frames.append(frame[..., ::-1])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_every_frame_is_painted(clip, tmp_path, color_model, batch_size):
    out = tmp_path / "new" / "out.mp4"
    assert segment_video(color_model, clip, out, batch_size=batch_size, progress=False) == 10
    assert max(color_model.batches) == batch_size and sum(color_model.batches) == 10
    rate, frames = read(out)
    assert rate == pytest.approx(12) and len(frames) == 10
    assert len({frame.shape for frame in frames}) == 1  # the legend keeps its size
    assert all(side % 2 == 0 for side in frames[0].shape[:2])
    red, blue = (np.array(class_colors(["red", "green", "blue"])[c], float) for c in (0, 2))
    for frame, seen, color in ((frames[0], (200, 0, 0), red), (frames[9], (0, 0, 200), blue)):
        assert np.abs(frame[100, 60] - (np.array(seen) + color) / 2).max() < 25
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_max_frames(clip, tmp_path, color_model):
    assert segment_video(color_model, clip, tmp_path / "o.mp4", max_frames=3, progress=False) == 3
    assert len(read(tmp_path / "o.mp4")[1]) == 3


def test_what_is_finished_is_kept(clip, tmp_path, color_model):
    segment = color_model.segment

    def interrupted(images, **options):
        if len(color_model.batches) == 4:
            raise KeyboardInterrupt
        return segment(images, **options)

    color_model.segment = interrupted
    with pytest.raises(KeyboardInterrupt):
        segment_video(color_model, clip, tmp_path / "o.mp4", progress=False)
    assert len(read(tmp_path / "o.mp4")[1]) == 4


@pytest.mark.parametrize(
    ("source", "out", "error", "message"),
    [
        ("none.avi", "o.mp4", FileNotFoundError, "does not exist"),
        ("text.avi", "o.mp4", ImageError, "no frame"),
        ("clip.avi", "o.gif", SaveError, "mp4"),
        ("clip.avi", "clip.avi/o.mp4", SaveError, "choose another"),
    ],
)
def test_what_is_refused(clip, tmp_path, color_model, source, out, error, message):
    (tmp_path / "text.avi").write_text("no video")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=message):
        segment_video(color_model, tmp_path / source, tmp_path / out, progress=False)
    assert sorted(tmp_path.iterdir()) == before
