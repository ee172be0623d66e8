"""What the record of a run holds."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from ovseg import __version__
from ovseg.evaluation.run_record import checkpoint_entry, package_versions, run_record, to_plain


@pytest.mark.parametrize(
    "value, plain",
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.array([3]), 3),
        (float("nan"), None),
        (np.float64("inf"), None),
        (torch.tensor(2.0), 2.0),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        (dict, "builtins.dict"),
        (True, True),
        (None, None),
    ],
    ids=repr,
)
def test_plain_values(value, plain):
    result = to_plain(value)
    assert result == plain and type(result) is type(plain)


def test_versions():
    versions = package_versions()
    assert versions["ovseg"] == __version__ and versions["torch"].startswith(torch.__version__[:3])
    assert {"python", "numpy", "mmengine", "mmsegmentation"} <= set(versions)


def test_checkpoint_entry(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"weights")
    assert checkpoint_entry(path)["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert checkpoint_entry(None) is None


def test_record_is_json_and_complete():
    config = Config(dict(model=dict(type="X", size=(1, 2)), protocol="sclip-336"))
    record = run_record(
        config,
        torch.nn.Linear(2, 2),
        dict(mIoU=np.float64(41.5), mAcc=float("nan")),
        dataset=dict(type="D", images=3),
        metrics=[dict(type="SegmentationScores", absent="union")],
        seed=4,
        seconds=1.5,
        resumed_images=2,
    )
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again == record
    assert record["scores"] == dict(mIoU=41.5, mAcc=None) and record["seed"] == 4
    assert record["protocol"] == "sclip-336" and record["metrics"][0]["absent"] == "union"
    assert record["config"]["model"]["size"] == [1, 2]
    assert record["weights"] is None and record["resumed_images"] == 2
