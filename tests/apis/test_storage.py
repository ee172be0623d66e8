import numpy as np
import pytest
from pycocotools import mask as coco_mask

from ovseg.apis.storage import decode_rles, encode_rles, write_files
from ovseg.errors import SaveError

RNG = np.random.default_rng(0)
MASKS = {
    "noise": RNG.integers(-1, 5, (13, 17)),
    "blocks": np.kron(RNG.integers(0, 3, (4, 5)), np.ones((40, 30), int)),
    "one label": np.zeros((7, 9), int),
    "one pixel": np.zeros((1, 1), int),
    "one row": RNG.integers(0, 2, (1, 50)),
    "one column": RNG.integers(0, 2, (50, 1)),
    "long runs": (np.arange(4_000_000) // 1_999_999).reshape(2000, 2000).T,
    "unsigned": RNG.integers(0, 200, (30, 30)).astype(np.uint8),
}


@pytest.mark.parametrize("name", MASKS)
def test_encodings_are_those_of_pycocotools(name):
    mask = MASKS[name]
    labels = np.unique(mask).tolist()
    rles = encode_rles(mask, labels)
    for label in labels:
        reference = coco_mask.encode(np.asfortranarray(mask == label).view(np.uint8))
        assert rles[label]["counts"] == reference["counts"].decode()
        assert rles[label]["size"] == list(mask.shape)
    assert (decode_rles(rles, mask.shape, fill=-7) == mask).all()


def test_pixels_without_label_are_filled():
    mask = MASKS["noise"]
    decoded = decode_rles(encode_rles(mask, [0, 2]), mask.shape, fill=9)
    assert (decoded == np.where(np.isin(mask, [0, 2]), mask, 9)).all()
    assert (decode_rles({}, (2, 3), fill=4) == 4).all()


GOOD = encode_rles(np.eye(3, dtype=int), [1])[1]


@pytest.mark.parametrize(
    ("rles", "message"),
    [
        ({1: {**GOOD, "size": [3, 4]}}, "another size"),
        ({1: {**GOOD, "counts": ""}}, "no run-length"),
        ({1: {**GOOD, "counts": GOOD["counts"] * 3}}, "no run-length"),
        ({1: {**GOOD, "counts": "0 9"}}, "foreign"),
        ({1: {**GOOD, "counts": "P"}}, "cut short"),
        ({1: {**GOOD, "counts": "3N3"}}, "no run-length"),
        ({0: GOOD, 1: GOOD}, "overlap"),
    ],
)
def test_damaged_encodings(rles, message):
    with pytest.raises(ValueError, match=message):
        decode_rles(rles, (3, 3), fill=0)


def test_files_are_written_together_or_not_at_all(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "folder").write_bytes(b"in the way")
    with pytest.raises(SaveError, match="folder"):
        write_files({tmp_path / "a": b"new", tmp_path / "folder" / "b": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old"
    write_files({tmp_path / "a": b"new", tmp_path / "c" / "d" / "b": b""})
    assert (tmp_path / "a").read_bytes() == b"new" and (tmp_path / "c/d/b").exists()
    assert not [path for path in tmp_path.rglob("*.tmp")]
