import dataclasses
import json
import pickle
import signal
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from ovseg.apis import SegmentationResult
from ovseg.errors import MissingDependencyError, ResultError, SaveError

MASK = np.array([[0, 0, 0, 2], [0, 0, 2, 2], [0, 0, -1, 2]])
CLASSES = ("sky", "grass", "cat")


def make(**changes):
    fields = {
        "mask": MASK,
        "classes": CLASSES,
        "scores": np.array([0.9, 0.0, 0.4]),
        "image": np.full((3, 4, 3), 90, np.uint8),
        "name": "folder/photo.jpg",
        "info": {"model": "fake"},
        "void": -1,
    }
    return SegmentationResult(**{**fields, **changes})


def test_what_it_knows():
    result = make()
    assert result.areas.tolist() == [7, 0, 4] and result.areas.dtype == np.int64
    assert result.scores.dtype == np.float32
    assert result.present == (0, 2)
    assert result.mask_of("cat").sum() == 4 and result.mask_of("cat").dtype == bool
    assert (result.mask_of(0) == (MASK == 0)).all()
    assert not result.mask_of("grass").any()
    assert repr(result) == (
        "SegmentationResult('folder/photo.jpg', 3 x 4, 2 of 3 classes: sky 58%, cat 33%)"
    )


def test_scores_may_be_unknown():
    assert np.isnan(make(scores=None).scores).all()


def test_long_lists_are_short_in_repr():
    result = SegmentationResult(np.arange(50).reshape(5, 10), tuple(f"c{n}" for n in range(50)))
    assert "+ 45 more" in repr(result) and len(repr(result)) < 150


def test_it_is_a_value():
    result, own = make(), MASK.copy()
    for array in (result.mask, result.areas, result.scores, result.image):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    with pytest.raises(TypeError):
        result.info["model"] = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.mask = None
    assert make() == make(mask=own) and make() != make(name="x") and make() != "something else"
    assert own.flags.writeable
    assert pickle.loads(pickle.dumps(result)) == result
    assert dataclasses.replace(result, name="x").name == "x"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": MASK[0]}, r"\(H, W\)"),
        ({"mask": MASK.astype(float)}, "integers"),
        ({"mask": MASK[:0]}, "non-empty"),
        ({"mask": MASK + 1, "void": None}, "label 3"),
        ({"void": None}, "label -1"),
        ({"void": 1}, "'grass'"),
        ({"classes": ()}, "at least one"),
        ({"classes": "cat"}, "one text"),
        ({"areas": np.array([7, 1, 4])}, "do not agree"),
        ({"areas": np.array([7, 4])}, "do not agree"),
        ({"scores": np.array([0.9, 0.1])}, "3 numbers"),
        ({"scores": np.array([0.9, 0.1, 1.5])}, r"0\.\.1"),
        ({"image": np.zeros((3, 5, 3), np.uint8)}, "match the mask"),
        ({"image": np.zeros((3, 4, 3))}, "uint8"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ResultError, match=message):
        make(**changes)


@pytest.mark.parametrize(("name", "hint"), [("cats", "'cat'"), ("zzz", "classes"), (3, "classes")])
def test_unknown_class(name, hint):
    with pytest.raises(ResultError, match=hint):
        make().mask_of(name)


def test_saved_files(tmp_path):
    paths = make().save(tmp_path / "new" / "folder", sheet=True)
    names = {"mask": "photo_mask.png", "overlay": "photo_overlay.png", "sheet": "photo_sheet.png"}
    assert {kind: path.name for kind, path in paths.items()} == {**names, "json": "photo.json"}
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(
        path.name for path in paths.values()
    )
    saved = np.asarray(Image.open(paths["mask"]))
    assert saved.dtype == np.uint8 and (saved == np.where(MASK == -1, 255, MASK)).all()
    assert Image.open(paths["overlay"]).mode == "RGB"
    record = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert [entry["name"] for entry in record["classes"]] == list(CLASSES)
    assert [entry["area"] for entry in record["classes"]] == [7, 0, 4]
    assert ["rle" in entry for entry in record["classes"]] == [True, False, True]
    assert record["info"] == {"model": "fake"} and record["void_in_png"] == 255
    assert coco_mask.area(record["classes"][2]["rle"]) == 4
    assert (coco_mask.decode(record["classes"][2]["rle"]) == (MASK == 2)).all()


def test_overlay_may_be_jpeg_or_left_out(tmp_path):
    paths = make().save(tmp_path, "other", overlay_format="jpg")
    assert Image.open(paths["overlay"]).format == "JPEG" and paths["json"].name == "other.json"
    assert set(make().save(tmp_path, "less", overlay=False, mask=False)) == {"json"}


@pytest.mark.parametrize(
    ("count", "dtype", "void"),
    [(255, np.uint8, 255), (256, np.uint16, 65535), (847, np.uint16, 65535)],
)
def test_label_png_beyond_255_classes(tmp_path, count, dtype, void):
    mask = np.arange(30 * 30).reshape(30, 30) % count
    mask[0, 0] = -1
    classes = tuple(f"class {n}" for n in range(count))
    path = SegmentationResult(mask, classes, name="x", void=-1).save(tmp_path, overlay=False)[
        "mask"
    ]
    saved = np.asarray(Image.open(path))
    assert saved.dtype == dtype and saved[0, 0] == void
    assert (saved.ravel()[1:] == mask.ravel()[1:]).all()


def test_too_many_classes_for_a_png(tmp_path):
    result = SegmentationResult(np.zeros((2, 2), int), tuple(map(str, range(70000))), name="x")
    with pytest.raises(ResultError, match="65535"):
        result.save(tmp_path, overlay=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"void": None, "mask": np.abs(MASK)},
        {"scores": None},
        {"name": None, "info": {}},
        {"classes": ("猫", "a;b", 'quote " \\ \n')},
        {"mask": MASK.astype(np.int16)},
        {"mask": np.full((3, 4), -1)},
        {"mask": np.where(MASK < 0, 255, MASK).astype(np.uint8), "void": 255},
    ],
)
def test_round_trip(tmp_path, changes):
    result = make(**changes)
    path = result.save(tmp_path)["json"]
    loaded = SegmentationResult.load(path, image=result.image)
    assert loaded == result and dict(loaded.info) == dict(result.info)
    assert (loaded.areas == result.areas).all()


def test_info_may_hold_anything(tmp_path):
    info = {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": tmp_path, 1: {2}}
    loaded = SegmentationResult.load(make(info=info).save(tmp_path)["json"])
    assert loaded.info["a"] == 0.5 and loaded.info["b"] == [0, 1] and loaded.info["c"] is None
    assert loaded.info["d"] == str(tmp_path) and loaded.info["1"] == [2]


def damage(path, **changes):
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, **changes}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "JSON"),
        (lambda path: path.write_bytes(b""), "JSON"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "JSON"),
        (lambda path: path.write_text("[]"), "not a saved"),
        (lambda path: path.write_text('{"shapes": []}'), "not a saved"),
        (lambda path: damage(path, height=5), "another size"),
        (lambda path: damage(path, classes=[]), "damaged"),
        (lambda path: damage(path, classes=None), "damaged"),
        (lambda path: damage(path, void=1), "damaged"),
    ],
)
def test_damaged_records(tmp_path, change, message):
    path = make().save(tmp_path)["json"]
    change(path)
    with pytest.raises(ResultError, match=message) as caught:
        SegmentationResult.load(path)
    assert str(path) in str(caught.value)


def test_missing_record(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        SegmentationResult.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("options", "message"), [({"stem": "a/b"}, "plain"), ({"overlay_format": "gif"}, "png")]
)
def test_save_options_that_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        make().save(tmp_path, **options)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveError, match="choose another"):
        make().save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_keeps_what_was_there(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of file size are POSIX")
    paths = make().save(tmp_path)
    before = {path: path.read_bytes() for path in paths.values()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(SaveError, match="files written earlier are kept"):
            make(classes=("other", "names", "here")).save(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pictures():
    result = make()
    assert result.overlay(legend=False).shape == (3, 4, 3)
    assert result.overlay().shape[0] >= 200 and result.sheet().dtype == np.uint8
    bare = make(image=None)
    assert bare.overlay(legend=False).shape == (3, 4, 3) and bare.sheet().ndim == 3
    assert result._repr_png_().startswith(b"\x89PNG")


def test_plot_leaves_pyplot_alone(tmp_path):
    from matplotlib import pyplot

    figure = make().plot()
    assert pyplot.get_fignums() == []
    figure.savefig(tmp_path / "plot.png")
    assert min(Image.open(tmp_path / "plot.png").size) > 300


def test_detections():
    pytest.importorskip("supervision")
    found = make().to_detections()
    assert found.class_id.tolist() == [0, 2]
    assert found.data["class_name"].tolist() == ["sky", "cat"]
    assert found.xyxy.tolist() == [[0, 0, 2, 2], [2, 0, 3, 2]]
    assert (found.mask[1] == (MASK == 2)).all()
    assert found.confidence.tolist() == pytest.approx([0.9, 0.4])
    assert make(scores=None).to_detections().confidence is None
    assert len(make(mask=np.full((3, 4), -1)).to_detections()) == 0


def test_detections_without_supervision(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingDependencyError, match="pip install supervision"):
        make().to_detections()
