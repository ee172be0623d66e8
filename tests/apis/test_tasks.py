"""One call for each task: results, stuff, and models that cannot."""

from __future__ import annotations

import numpy as np
import pytest

import ovseg
from ovseg.apis import segment_folder
from ovseg.apis.video import segment_video
from ovseg.apis.zoo import list_models
from ovseg.errors import ConfigError, VocabularyError
from tests.apis.segmented import panoptic
from tests.tiny_panoptic import BrightnessPanoptic
from tests.tiny_segmentor import BrightnessSegmentor

#: Two cats (0) on a sky (1), and something that is neither.
PICTURE = np.full((20, 30, 3), 90, np.uint8)
PICTURE[3:9, 2:9] = PICTURE[3:9, 14:25] = 10
PICTURE[15:] = 250
WORDS = ["cat", "sky"]


@pytest.fixture
def model():
    return ovseg.Segmenter(BrightnessPanoptic(), "tiny")


def test_panoptic(model):
    result = model.segment(PICTURE, WORDS, task="panoptic")
    assert isinstance(result, ovseg.PanopticResult)
    assert [(s.id, s.class_name, s.is_thing) for s in result] == [
        (1, "cat", True),
        (2, "cat", True),
        (3, "sky", False),
    ]
    assert result[0].score == pytest.approx(0.9) and result[0].area == 42
    assert (result.ids[15:] == 0).all() and result.info["task"] == "panoptic"
    assert BrightnessPanoptic.asked == ("panoptic",)  # and nothing more is computed
    np.testing.assert_array_equal(result.image, PICTURE)


def test_instances(model):
    result = model.segment(PICTURE, WORDS, task="instance")
    assert isinstance(result, ovseg.InstanceResult)
    assert result.counts == {"cat": 2} and BrightnessPanoptic.asked == ("instance",)


def test_semantic_is_the_default(model):
    result = model.segment(PICTURE, WORDS)
    assert isinstance(result, ovseg.SegmentationResult) and BrightnessPanoptic.asked == (
        "semantic",
    )
    assert result.scores.tolist() == [1, 1]


def test_lists_and_batches(model):
    one, two = model.segment([PICTURE, PICTURE[:, ::-1]], WORDS, task="panoptic", batch_size=2)
    assert one.counts == two.counts == {"cat": 2, "sky": 1}


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (dict(), {"cat": 2, "sky": 1}),
        (dict(stuff=["cat"]), {"cat": 1, "sky": 1}),
        (dict(classes=ovseg.Vocabulary.load(WORDS, things=["sky"])), {"cat": 2, "sky": 2}),
    ],
)
def test_what_is_stuff(model, given, counts):
    split = PICTURE.copy()
    split[:15, 12] = 250  # cuts the sky in two
    given = {"classes": WORDS, **given}
    assert model.segment(split, task="panoptic", **given).counts == counts


def test_stuff_of_the_classes_before(model):
    model.segment(PICTURE, WORDS, task="panoptic")
    assert model.segment(PICTURE, stuff=["cat"], task="panoptic").counts == {"cat": 1, "sky": 1}
    with pytest.raises(VocabularyError, match="'lawn' is given as stuff"):
        model.segment(PICTURE, stuff=["lawn"], task="panoptic")


@pytest.mark.parametrize(
    ("kind", "task", "message"),
    [
        (BrightnessSegmentor, "panoptic", "tells no panoptic segments apart: take "),
        (BrightnessSegmentor, "instance", "tells no instance segments apart: take "),
        (BrightnessPanoptic, "boxes", "there is no task 'boxes': choose one of semantic, "),
    ],
)
def test_tasks_a_model_does_not_know(kind, task, message):
    segmenter = ovseg.Segmenter(kind(), "tiny")
    segmenter.model.predict = getattr(segmenter.model, "predict", lambda inputs: inputs)
    with pytest.raises(ConfigError, match=message):
        segmenter.segment(PICTURE, WORDS, task=task)


def test_models_are_listed_by_their_tasks():
    assert {info.name for info in list_models(task="semantic")} == {i.name for i in list_models()}
    assert "maskclip_nano" not in {info.name for info in list_models(task="panoptic")}


def test_folders(model, tmp_path, make_image):
    make_image("in/a.png")
    words = ovseg.Vocabulary.load(["cat", "sky", "dog"])
    report = segment_folder(model, tmp_path / "in", tmp_path / "out", words, task="panoptic")
    assert len(report.done) == 1 and not report.failed
    result = ovseg.PanopticResult.load(tmp_path / "out" / "a.json")
    assert result.info["run"]["settings"]["task"] == "panoptic" and len(result) > 0

    def again(**options):
        return segment_folder(model, tmp_path / "in", tmp_path / "out", **options)

    assert again(classes=words, task="panoptic").skipped
    assert again(classes=words.with_things(stuff=["cat"]), task="panoptic").done
    assert again(classes=words).done  # another task is another result
    assert ovseg.SegmentationResult.load(tmp_path / "out" / "a.json").classes == words.classes


def test_videos(tmp_path):
    import cv2

    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 5, (60, 40))
    for _ in range(2):
        writer.write(np.full((40, 60, 3), 90, np.uint8))
    writer.release()
    asked = []

    class Model:
        def segment(self, images, classes=None, *, batch_size=1, task="semantic"):
            asked.append(task)
            return [panoptic(image=None) for _ in images]

    out = tmp_path / "out.mp4"
    assert segment_video(Model(), clip, out, task="panoptic", progress=False) == 2
    assert asked == ["panoptic"] * 2 and out.stat().st_size > 0
