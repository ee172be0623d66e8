"""CLIPSelf in a run: what is trained, what is saved, and that a run can be repeated."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ovseg.apis.training import train_model
from ovseg.encoders import CLIPViT
from ovseg.errors import ConfigError, TrainingError
from ovseg.segmentors.distillers import CLIPSelf
from ovseg.utils.checkpoints import load_checkpoint
from tests.segmentors.distillers.run import clipself_config
from tests.segmentors.distillers.towers import tower_config

pytestmark = pytest.mark.filterwarnings("ignore::ovseg.encoders.base.RandomWeightsWarning")


def losses(work: Path) -> list[float]:
    (path,) = work.glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    work = tmp_path_factory.mktemp("trained")
    return work, train_model(clipself_config(work))


def test_only_the_unlocked_blocks_are_trained(trained):
    work, runner = trained
    model, (log,) = runner.model, work.glob("*/*.log")
    student, teacher = (dict(m.visual.named_parameters()) for m in (model.student, model.teacher))
    changed = {name for name in student if not torch.equal(student[name], teacher[name])}
    assert changed == {n for n, p in student.items() if p.requires_grad}
    assert {name.split(".")[2] for name in changed} == {"1", "2"}
    count = sum(student[name].numel() for name in changed)
    assert f"{count / 1000:.1f} k parameters are trained" in log.read_text()


def test_the_teacher_is_no_part_of_checkpoints(trained):
    checkpoint = load_checkpoint(trained[0] / "iter_4.pth")
    names = checkpoint["state_dict"]
    assert all(name.startswith("student.") for name in names)
    assert "student.visual.conv1.weight" in names
    assert set(checkpoint["meta"]["frozen"]) == {"teacher"}


def test_the_tower_loads_wherever_clip_does(trained):
    work, runner = trained
    config = tower_config("vit", weights=str(work / "tower.safetensors"))
    loaded = CLIPViT(**{k: v for k, v in config.items() if k != "type"})
    images = torch.randn(1, 3, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), runner.model.student(images))
    with safe_open(work / "tower.safetensors", "pt") as file:
        assert file.metadata()["trained_by"] == "CLIPSelf"
        assert file.metadata()["iterations"] == "4"


def test_blending_with_the_start(trained, tmp_path):
    work, runner = trained
    runner.model.save_tower(tmp_path / "half.safetensors", blend=0.25)
    half, whole = load_file(tmp_path / "half.safetensors"), load_file(work / "tower.safetensors")
    before = runner.model.teacher.visual.state_dict()
    for name, value in half.items():
        expected = 0.25 * whole[name] + 0.75 * before[name.removeprefix("visual.")]
        torch.testing.assert_close(value, expected)


def test_the_text_tower_goes_along(tmp_path):
    student = {"type": "CLIPViT", "model": "nano-vit-8", "pretrained": "ovseg"}
    model = CLIPSelf(student)
    model.save_tower(tmp_path / "clip.safetensors")
    import ovseg

    packaged = Path(ovseg.__file__).parent / "assets/nano/nano-vit-8.safetensors"
    packaged, saved = load_file(packaged), load_file(tmp_path / "clip.safetensors")
    assert set(saved) == set(packaged)
    for name, value in saved.items():
        torch.testing.assert_close(value.float(), packaged[name].float())


def test_resuming_gives_the_same_run(trained, tmp_path):
    work, _ = trained
    train_model(clipself_config(tmp_path, **{"train_cfg.max_iters": 2}))
    assert losses(tmp_path) == losses(work)[:2]
    train_model(clipself_config(tmp_path), resume=True)
    one, two = (load_checkpoint(path / "iter_4.pth")["state_dict"] for path in (work, tmp_path))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_half_precision_comes_close(trained, tmp_path):
    train_model(clipself_config(tmp_path, **{"optim_wrapper.precision": "bf16"}))
    assert losses(tmp_path) == pytest.approx(losses(trained[0]), rel=0.02)


def test_eva02_with_matrices_that_are_never_read(tmp_path):
    model = train_model(clipself_config(tmp_path, "eva02")).model
    student, teacher = (dict(m.visual.named_parameters()) for m in (model.student, model.teacher))
    same = {name for name in student if torch.equal(student[name], teacher[name])}
    unread = {name for name in same if student[name].requires_grad}
    assert unread == {f"trunk.blocks.2.attn.{n}" for n in (
        "q_proj.weight", "q_proj.bias", "k_proj.weight"
    )}  # fmt: skip


def test_training_comes_nearer(tmp_path):
    config = clipself_config(
        tmp_path, **{"train_cfg.max_iters": 30, "model.unlocked_blocks": 3, "model.sizes": [48]}
    )
    config.param_scheduler = []
    train_model(config)
    found = losses(tmp_path)
    assert sum(found[-5:]) < 0.8 * sum(found[:5])


def test_a_frozen_parameter_that_changes_ends_training(tmp_path, monkeypatch):
    inner = CLIPSelf.loss

    def loss(self, *args):
        with torch.no_grad():
            self.student.visual.conv1.weight += 1e-6
        return inner(self, *args)

    monkeypatch.setattr(CLIPSelf, "loss", loss)
    with pytest.raises(TrainingError, match=r"frozen parameter student\.visual\.conv1\.weight"):
        train_model(clipself_config(tmp_path))
    assert not list(tmp_path.glob("*.safetensors"))


def process(rank: int, port: int, work: str, kind: str) -> None:
    """What one of two processes does; its errors are written to a file."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    torch.set_num_threads(1)
    config = clipself_config(work, kind)
    config.launcher = "pytorch"
    config.train_dataloader.batch_size = 2
    try:
        train_model(config)
    except Exception as error:
        Path(work, f"error-{rank}.txt").write_text(f"{type(error).__name__}: {error}")
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="needs forked processes")
def test_two_processes_equal_one(trained, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")  # nothing has to be imported again
    processes = [
        context.Process(target=process, args=(rank, port, str(tmp_path), "vit"))
        for rank in range(2)
    ]
    for one in processes:
        one.start()
    for one in processes:
        one.join(120)
        if one.is_alive():
            one.kill()
            pytest.fail("a process hangs")
    assert not [path.read_text() for path in tmp_path.glob("error-*")]
    work, _ = trained
    assert losses(tmp_path) == pytest.approx(losses(work), rel=1e-4)
    one, two = (load_checkpoint(path / "iter_4.pth")["state_dict"] for path in (work, tmp_path))
    for name, tensor in one.items():
        # Attention does not depend on the bias of keys: its gradient is noise, which Adam enlarges.
        if not name.endswith("in_proj_bias"):
            torch.testing.assert_close(two[name], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.unlocked_blocks": 4}, "unlocked_blocks must be from 1 to 3"),
        ({"model.unlocked_blocks": 0}, "unlocked_blocks must be from 1 to 3"),
        ({"model.sizes": [30]}, "sizes must be multiples of the patch size 8"),
        ({"model.student": dict(type="CLIPConv", model="nano-convnext", pretrained=None)}, "use"),
        ({"custom_hooks": [dict(type="SaveTowerHook", blend=2)]}, "blend be from 0 to 1"),
        ({"optim_wrapper.paramwise_cfg": dict(undecayed=["x"])}, "leave undecayed out"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, changes, message):
    config = clipself_config(tmp_path)
    if "model.student" in changes:
        config.model.student = changes.pop("model.student")
    config.merge_from_dict(changes)
    with pytest.raises(ConfigError, match=message):
        train_model(config)
