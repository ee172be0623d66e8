"""MMSegmentation and MMEngine beside the pure-Python mmcv, on the installed torch and NumPy."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import math
import pickle
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

from ovseg import compat, registry
from ovseg.errors import (
    CheckpointMismatchError,
    UnsafeCheckpointError,
    WeightsError,
    WeightsNotFoundError,
)
from ovseg.utils import mmcv_ops
from ovseg.utils.checkpoints import check_state_dict, load_checkpoint
from tests.tiny_runs import train_config, write_folder_dataset

lite_only = pytest.mark.skipif(compat.has_compiled_mmcv(), reason="a compiled mmcv is installed")


@lite_only
def test_fresh_interpreter_imports_everything_quietly():
    code = (
        "import ovseg.registry, mmseg.apis, mmseg.engine, mmseg.evaluation, mmseg.models, sys;"
        "import mmcv, mmcv.ops; assert mmcv.ops is sys.modules['mmcv.ops'];"
        "from mmengine.runner.checkpoint import CheckpointLoader as C;"
        "assert C._get_checkpoint_loader('x.pth').__module__ == 'ovseg.utils.checkpoints';"
        "from mmcv.utils.env import collect_env; print(collect_env()['MMCV Compiler'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "n/a"
    assert "mmcv" not in done.stderr


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("torch", "mmcv", "mmengine", "mmseg", "numpy", "PIL")
    code = f"import ovseg, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_readers_take_their_place_when_mmengine_came_first():
    code = (
        "import mmengine.runner.checkpoint as c, ovseg;"
        "print(c.CheckpointLoader._get_checkpoint_loader('x.pth').__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "ovseg.utils.checkpoints", done.stderr


def test_install_twice_changes_nothing():
    before = list(sys.meta_path)
    compat.install()
    assert sys.meta_path == before


@lite_only
def test_steps_aside_for_compiled_operators(monkeypatch):
    monkeypatch.delitem(sys.modules, "mmcv.ops", raising=False)
    ours = importlib.util.find_spec("mmcv.ops")
    assert isinstance(ours.loader, compat._Finder)

    compiled = types.ModuleType("mmcv._ext")
    compiled.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
    monkeypatch.setitem(sys.modules, "mmcv._ext", compiled)
    assert compat.has_compiled_mmcv()
    theirs = importlib.util.find_spec("mmcv.ops")
    assert Path(theirs.origin).name == "__init__.py" and Path(theirs.origin).parent.name == "ops"


def test_every_registry_of_mmseg_has_a_child():
    from mmengine.registry import Registry
    from mmseg import registry as theirs

    for name in registry.__all__:
        own = getattr(registry, name)
        assert own.scope == "ovseg" and own.parent is getattr(theirs, name)
    missing = {n for n, r in vars(theirs).items() if isinstance(r, Registry)} - set(
        registry.__all__
    )
    assert missing <= {"RUNNER_CONSTRUCTORS", "INFERENCERS"}


# ---------------------------------------------------------------- operators


def bilinear(feature: np.ndarray, x: float, y: float) -> np.ndarray:
    """Value at relative (x, y); pixel centres at half-integers, zeros outside."""
    channels, height, width = feature.shape
    column, row = x * width - 0.5, y * height - 0.5
    value = np.zeros(channels)
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(column), math.floor(column) + 1):
            if 0 <= r < height and 0 <= c < width:
                value += feature[:, r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return value


@pytest.mark.parametrize("shape", [(2, 7, 2), (2, 3, 5, 2)])
def test_point_sample(shape):
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 3, 4, 6, generator=generator, dtype=torch.float64)
    points = torch.rand(shape, generator=generator, dtype=torch.float64)
    sampled = mmcv_ops.point_sample(features, points)
    assert sampled.shape == (2, 3, *shape[1:-1])
    for image in range(2):
        flat = points[image].reshape(-1, 2).numpy()
        expected = np.stack([bilinear(features[image].numpy(), x, y) for x, y in flat], axis=1)
        np.testing.assert_allclose(sampled[image].reshape(3, -1).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gamma, alpha", [(2.0, 0.25), (0.0, 0.5), (1.5, 0.9)])
def test_sigmoid_focal_loss(gamma, alpha, weighted):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 2, 1, 3, 3])  # 3 is background
    weight = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64) if weighted else None
    expected = np.zeros((5, 3))
    for n in range(5):
        for c in range(3):
            p = 1 / (1 + math.exp(-logits[n, c].item()))
            positive = target[n].item() == c
            term = alpha * (1 - p) ** gamma * -math.log(p)
            if not positive:
                term = (1 - alpha) * p**gamma * -math.log(1 - p)
            factor = weight[target[n]].item() if weighted and target[n] < 3 else 1.0
            expected[n, c] = term * factor
    run = functools.partial(mmcv_ops.sigmoid_focal_loss, logits, target, gamma, alpha, weight)
    np.testing.assert_allclose(run("none").detach().numpy(), expected, rtol=1e-10)
    assert run("sum").item() == pytest.approx(expected.sum())
    assert run("mean").item() == pytest.approx(expected.sum() / 5)
    run("sum").backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="reduction"):
        run("median")


def test_focal_loss_of_extreme_logits_is_finite():
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = mmcv_ops.sigmoid_focal_loss(logits, torch.tensor([1]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("module", [mmcv_ops.CrissCrossAttention, mmcv_ops.PSAMask])
def test_compiled_only_modules_say_so(module):
    with pytest.raises(NotImplementedError, match="pip install mmcv"):
        module(4)


# ---------------------------------------------------------------- running


def losses(work_dir: Path) -> dict[int, float]:
    """Loss by iteration, from the newest log of the runner."""
    newest = sorted(work_dir.glob("*/vis_data/scalars.json"))[-1]
    rows = [json.loads(line) for line in newest.read_text().splitlines()]
    return {row["iter"]: row["loss"] for row in rows if "loss" in row}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder of a finished run: six iterations, validated and saved at three and six."""
    root = tmp_path_factory.mktemp("run")
    write_folder_dataset(root / "data")
    Runner.from_cfg(train_config(root / "data", root / "whole")).train()
    return root


def test_train_validate_checkpoint(trained):
    curve = losses(trained / "whole")
    assert list(curve) == [1, 2, 3, 4, 5, 6] and all(map(math.isfinite, curve.values()))
    assert {p.name for p in (trained / "whole").glob("iter_*.pth")} == {"iter_3.pth", "iter_6.pth"}
    assert list((trained / "whole").glob("best_mIoU*.pth"))


def test_resume_continues_the_same_curve(trained):
    changes = dict(resume=True, load_from=str(trained / "whole" / "iter_3.pth"))
    config = train_config(trained / "data", trained / "resumed", **changes)
    runner = Runner.from_cfg(config)
    runner.train()
    whole, resumed = losses(trained / "whole"), losses(trained / "resumed")
    assert list(resumed) == [4, 5, 6]
    assert [resumed[i] for i in resumed] == pytest.approx([whole[i] for i in resumed], rel=1e-6)
    finished = load_checkpoint(trained / "whole" / "iter_6.pth")
    for name, tensor in runner.model.state_dict().items():
        torch.testing.assert_close(tensor, finished["state_dict"][name])
    # The message hub came back with its history, not only the weights.
    history = runner.message_hub.get_scalar("train/loss")
    assert len(history.data[0]) == 6


def test_test_gives_the_scores_of_the_last_validation(trained):
    checkpoint = trained / "whole" / "iter_6.pth"
    config = train_config(trained / "data", trained / "tested", load_from=str(checkpoint))
    scores = Runner.from_cfg(config).test()
    newest = sorted((trained / "whole").glob("*/vis_data/scalars.json"))[-1]
    validated = json.loads(newest.read_text().splitlines()[-1])
    assert scores["mIoU"] == pytest.approx(validated["mIoU"])


# ---------------------------------------------------------------- checkpoints that cannot be used


class Touch:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


class Execute(Touch):
    def __reduce__(self):
        return (exec, (f"open({self.path!r}, 'w')",))


class Fetch(Touch):
    """Reaches for a function through `getattr`, as pickled log histories do."""

    def __reduce__(self):
        return (getattr, (Path(self.path), "touch"))


class Reach:
    """Asks `getattr` for more of an allowed class than its statistics: its globals are near."""

    def __init__(self, path: Path) -> None:
        pass

    def __reduce__(self):
        return (getattr, (HistoryBuffer, "__init__"))


@pytest.fixture(params=["plain", "no weights_only by default"])
def default_of_torch_load(request, monkeypatch):
    """Torch as it is, and with the default that torch 2.4 and 2.5 have."""
    if request.param != "plain":
        real = torch.load
        monkeypatch.setattr(
            torch,
            "load",
            lambda *a, weights_only=False, **k: real(*a, weights_only=weights_only, **k),
        )


@pytest.mark.parametrize("payload", [Touch, Execute, Fetch, Reach])
@pytest.mark.parametrize("layout", ["zip", "legacy", "pickle"])
def test_malicious_checkpoint_runs_nothing(
    tmp_path, trained, payload, layout, default_of_torch_load
):
    victim, path = tmp_path / "touched", tmp_path / "evil.pth"
    content = dict(state_dict={}, meta=dict(epoch=0, iter=0), extra=payload(victim))
    if layout == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(UnsafeCheckpointError, match=r"evil\.pth was not loaded"):
        CheckpointLoader.load_checkpoint(str(path), map_location="cpu", logger=None)
    assert not victim.exists()


def test_malicious_checkpoint_through_the_runner(tmp_path, trained, default_of_torch_load):
    victim, path = tmp_path / "touched", tmp_path / "evil.pth"
    torch.save(dict(state_dict={}, message_hub=Touch(victim)), path)
    config = train_config(trained / "data", tmp_path / "work")
    runner = Runner.from_cfg(config)
    with pytest.raises(UnsafeCheckpointError):
        runner.resume(str(path))
    with pytest.raises(UnsafeCheckpointError):
        runner.load_checkpoint(str(path))
    assert not victim.exists()


def test_own_checkpoints_load_with_either_default(trained, default_of_torch_load):
    loaded = load_checkpoint(trained / "whole" / "iter_3.pth")
    assert loaded["meta"]["iter"] == 3
    assert loaded["message_hub"]["log_scalars"]["train/loss"].current() > 0


def test_numpy_content_survives(tmp_path):
    content = dict(
        array=np.arange(6.0).reshape(2, 3), scalar=np.float32(1.5), words=np.array(["a", "bc"])
    )
    torch.save(content, tmp_path / "arrays.pth")
    before = set(torch.serialization.get_safe_globals())
    loaded = load_checkpoint(tmp_path / "arrays.pth")
    np.testing.assert_array_equal(loaded["array"], content["array"])
    assert loaded["scalar"] == 1.5 and loaded["words"].tolist() == ["a", "bc"]
    assert set(torch.serialization.get_safe_globals()) == before  # nothing stays allowed


@pytest.mark.parametrize(
    "content", [b"", b"just text", b"PK\x03\x04 cut short", b"\x80\x02 cut"], ids=repr
)
def test_damaged_checkpoint(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"broken\.pth is not a readable checkpoint"):
        load_checkpoint(path)


def test_cut_checkpoint(tmp_path, trained):
    whole = (trained / "whole" / "iter_3.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="damaged, cut short"):
        load_checkpoint(tmp_path / "cut.pth")


@pytest.mark.parametrize("name", ["nowhere.pth", "s3://bucket/x.pth", "pavi://x"])
def test_checkpoints_that_are_not_there(tmp_path, name):
    with pytest.raises(WeightsNotFoundError):
        CheckpointLoader.load_checkpoint(name, logger=None)


def test_checkpoints_over_http(tmp_path, monkeypatch):
    (tmp_path / "served").mkdir()
    torch.save(dict(weight=torch.ones(2)), tmp_path / "served" / "good.pth")
    torch.save(dict(weight=Touch(tmp_path / "touched")), tmp_path / "served" / "evil.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        good = CheckpointLoader.load_checkpoint(f"{base}/good.pth", logger=None)
        assert good["weight"].tolist() == [1, 1]
        with pytest.raises(UnsafeCheckpointError):
            CheckpointLoader.load_checkpoint(f"{base}/evil.pth", logger=None)
        with pytest.raises(WeightsNotFoundError, match=r"none\.pth"):
            CheckpointLoader.load_checkpoint(f"{base}/none.pth", logger=None)
    finally:
        server.shutdown()
        server.server_close()
    assert not (tmp_path / "touched").exists()


OTHER_MODELS = {
    # what is changed in the state of a Linear(3, 2): what the message says
    "the same": ({}, None),
    "missing": ({"bias": None}, "1 tensors are missing (first: bias)"),
    "unknown": ({"head.weight": torch.ones(1)}, "1 tensors are unknown to the model"),
    "shape": ({"weight": torch.ones(5, 5)}, "1 tensors have another shape (first: weight)"),
}


@pytest.mark.parametrize("case", OTHER_MODELS)
def test_checkpoint_of_another_model(case):
    changes, message = OTHER_MODELS[case]
    model = torch.nn.Linear(3, 2)
    state = {k: v for k, v in {**model.state_dict(), **changes}.items() if v is not None}
    if message is None:
        check_state_dict(model, state, "x.pth")
        return
    with pytest.raises(CheckpointMismatchError) as caught:
        check_state_dict(model, state, "x.pth")
    assert "x.pth belongs to another model" in str(caught.value) and message in str(caught.value)
    if case == "missing":
        check_state_dict(model, state, "x.pth", optional=("bias",))
