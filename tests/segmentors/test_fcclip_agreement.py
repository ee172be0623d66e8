"""Agreement of FC-CLIP's three kinds of inference with the authors' code.

Recorded by tools/record/record_fcclip.py from github.com/bytedance/fc-clip, commit 2b0bbe2, in
float32 on the CPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample

from ovseg.heads import MaskBands
from tests.heads import drawn_fcclip as drawn
from tests.heads.drawn_model import drawn_fcclip, recorded


@pytest.fixture(scope="module", params=[*drawn.SIZES])
def run(request):
    """Our results for both pictures together, and what was recorded."""
    model = drawn_fcclip(request.param, band_bytes=2**17)
    samples = [SegDataSample(metainfo={"ori_shape": size}) for _, size in drawn.PICTURES]
    votes = []
    finish = model._finish

    def keep_votes(sample, bands: MaskBands, probabilities, tasks):
        masks = bands.rows(0, bands.size[0]).sigmoid()
        votes.append(torch.einsum("qc,qhw->chw", probabilities[:, :-1], masks))
        finish(sample, bands, probabilities, tasks)

    model._finish = keep_votes
    data = model.data_preprocessor(
        {"inputs": drawn.draw_pictures(request.param), "data_samples": samples}
    )
    found = model.predict(**data)
    truth = [
        {k.removesuffix(f"/{i}"): v for k, v in recorded(request.param).items() if f"/{i}" in k}
        for i in range(2)
    ]
    return list(zip(found, votes, truth, strict=True))


def test_semantic(run):
    for sample, votes, truth in run:
        ours, theirs = drawn.thinned("semantic", votes.numpy()), truth["semantic"]
        assert np.abs(ours - theirs).max() / theirs.max() < 1e-4
        labels = drawn.thinned("semantic", sample.pred_sem_seg.data[0].numpy())
        top = np.sort(theirs, axis=0)
        clear = top[-1] - top[-2] > 1e-4
        assert clear.mean() > 0.9 and len(np.unique(labels)) > 1
        assert (labels == theirs.argmax(0))[clear].all()


def test_panoptic(run):
    for sample, _, truth in run:
        segments = [[s["id"], s["category_id"], int(s["isthing"])] for s in sample.pred_segments]
        assert segments == truth["segments"].tolist()
        ids = sample.pred_panoptic.data[0]
        assert (drawn.thinned("panoptic_ids", ids.numpy()) == truth["panoptic_ids"]).mean() > 0.999
        counted = torch.bincount(ids.flatten(), minlength=len(segments) + 1)[1:]
        assert counted.tolist() == [s["area"] for s in sample.pred_segments]


def test_instances(run):
    for sample, _, truth in run:
        found = sample.pred_instances
        order = np.argsort(-truth["instance_scores"], kind="stable")
        np.testing.assert_allclose(
            found.scores.numpy(), truth["instance_scores"][order], rtol=1e-3, atol=1e-6
        )
        assert found.labels.tolist() == truth["instance_labels"][order].tolist()
        count = len(order)
        height, width = found.masks.shape[1:]
        rows, columns = -(-height // 5), -(-width // 7)
        theirs = np.unpackbits(truth["instance_masks"])[: count * rows * columns]
        theirs = theirs.reshape(count, rows, columns)[order].astype(bool)
        assert (found.masks[:, ::5, ::7].numpy() == theirs).mean() > 0.999
