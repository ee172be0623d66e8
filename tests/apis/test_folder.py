import errno
import json
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from ovseg.apis import SegmentationResult, segment_folder
from ovseg.apis import folder as folder_module
from ovseg.apis.launching import end_processes, start_processes
from ovseg.errors import ImageError, PeerError, SaveError
from tests.two_processes import run_two


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_results_lie_as_the_inputs_do(tmp_path, make_image, color_model):
    make_image("in/a.png"), make_image("in/sub/b.png")
    out = tmp_path / "out"
    report = segment_folder(color_model, tmp_path / "in", out, recursive=True)
    assert len(report.done) == 2 and not report.skipped and not report.failed
    expected = [
        f"{stem}{end}" for stem in ("a", "sub/b") for end in (".json", "_mask.png", "_overlay.png")
    ]
    assert files(out) == sorted(expected)
    result = SegmentationResult.load(out / "sub" / "b.json")
    assert result.name == str(tmp_path / "in" / "sub" / "b.png")
    assert [result.mask[0, x] for x in (5, 30, 55)] == [0, 1, 2]
    assert result.info["model"] == "by color"


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_and_threads_change_nothing(tmp_path, make_image, color_model, batch_size, threads):
    paths = [make_image(f"in/{n:02}.png", seed=n, size=(20 + n, 30)) for n in range(7)]
    out = tmp_path / "out"
    report = segment_folder(color_model, paths, out, batch_size=batch_size, threads=threads)
    assert list(report.done) == paths
    assert sum(color_model.batches) == 7 and max(color_model.batches) == min(batch_size, 7)
    for n, path in enumerate(paths):
        mask = np.asarray(Image.open(out / f"{n:02}_mask.png"))
        assert (mask == np.asarray(Image.open(path)).argmax(axis=-1)).all()


def test_memory_is_bounded(tmp_path, make_image, monkeypatch, color_model):
    """Never are more images decoded ahead than two batches and one image."""
    paths = [make_image(f"in/{n:02}.png") for n in range(30)]
    begun = []
    load = folder_module._load
    monkeypatch.setattr(folder_module, "_load", lambda job: begun.append(job) or load(job))
    segment, lead = color_model.segment, []

    def watched(images, **options):
        lead.append(len(begun) - sum(color_model.batches))
        return segment(images, **options)

    color_model.segment = watched
    segment_folder(color_model, paths, tmp_path / "out", batch_size=2)
    assert max(lead) <= 2 * 2 + 2 + 1


def test_what_is_done_is_skipped(tmp_path, make_image, color_model):
    make_image("in/a.png"), make_image("in/b.png", seed=1)
    out = tmp_path / "out"
    segment_folder(color_model, tmp_path / "in", out)
    stamps = {name: (out / name).stat().st_mtime_ns for name in files(out)}

    def never():
        raise AssertionError("the model is not needed")

    report = segment_folder(never, tmp_path / "in", out)
    assert len(report.skipped) == 2 and not report.done
    assert {name: (out / name).stat().st_mtime_ns for name in files(out)} == stamps
    make_image("in/c.png", seed=2)
    report = segment_folder(color_model, tmp_path / "in", out)
    assert [p.name for p in report.done] == ["c.png"]


def remove(name):
    return lambda root: (root / "out" / name).unlink()


def cut(name):
    return lambda root: (root / "out" / name).write_bytes((root / "out" / name).read_bytes()[:-7])


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (None, {"overwrite": True}),
        (None, {"classes": ("red", "other", "names")}),
        (None, {"settings": {"model": "other"}}),
        (None, {"save": ["mask", "sheet"]}),
        (None, {"overlay_format": "jpg"}),
        (remove("a.json"), {}),
        (remove("a_mask.png"), {}),
        (cut("a.json"), {}),
        (cut("a_overlay.png"), {}),
        (lambda root: (root / "out/a.json").write_bytes(b""), {}),
    ],
)
def test_what_is_made_again(tmp_path, make_image, color_model, change, options):
    make_image("in/a.png")
    segment_folder(color_model, tmp_path / "in", tmp_path / "out")
    if change:
        change(tmp_path)
    report = segment_folder(color_model, tmp_path / "in", tmp_path / "out", **options)
    assert len(report.done) == 1 and not report.failed
    report = segment_folder(
        color_model, tmp_path / "in", tmp_path / "out", **{**options, "overwrite": False}
    )
    assert len(report.skipped) == 1


def test_a_changed_picture_is_made_again_and_a_touched_one_is_not(
    tmp_path, make_image, color_model
):
    path = make_image("in/a.png")
    segment_folder(color_model, path, tmp_path / "out")
    os.utime(path, (1, 1))
    assert segment_folder(color_model, path, tmp_path / "out").skipped
    make_image("in/a.png", seed=5)
    assert segment_folder(color_model, path, tmp_path / "out").done


def test_moved_pictures_are_recognized(tmp_path, make_image, color_model):
    make_image("in/a.png")
    segment_folder(color_model, tmp_path / "in", tmp_path / "out")
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    assert segment_folder(color_model, tmp_path / "elsewhere", tmp_path / "out").skipped


def test_another_picture_of_the_same_name_does_not_replace_a_result(
    tmp_path, make_image, color_model
):
    make_image("one/a.png"), make_image("two/a.png", seed=1)
    out = tmp_path / "out"
    segment_folder(color_model, tmp_path / "one", out)
    before = (out / "a.json").read_bytes()
    report = segment_folder(color_model, tmp_path / "two", out)
    assert "another picture" in report.failed[0][1] and (out / "a.json").read_bytes() == before
    assert segment_folder(color_model, tmp_path / "two", out, overwrite=True).done


def test_foreign_files_are_left_alone(tmp_path, make_image, color_model):
    path = make_image("a.png")
    (tmp_path / "a.json").write_text('{"shapes": []}')
    report = segment_folder(color_model, path, tmp_path)
    assert "not a result" in report.failed[0][1]
    assert (tmp_path / "a.json").read_text() == '{"shapes": []}'


def test_an_input_is_never_overwritten(tmp_path, make_image, color_model):
    paths = [make_image("a.png"), make_image("a_mask.png", seed=1)]
    before = paths[1].read_bytes()
    report = segment_folder(color_model, paths, tmp_path, overwrite=True)
    assert [(path.name, "one of the inputs" in why) for path, why in report.failed] == [
        ("a.png", True)
    ]
    assert paths[1].read_bytes() == before and [p.name for p in report.done] == ["a_mask.png"]


def test_results_among_the_inputs_are_not_inputs(tmp_path, make_image, color_model):
    make_image("in/a.png"), make_image("in/my_mask.png", seed=1)
    for _ in range(2):
        report = segment_folder(
            color_model, tmp_path / "in", tmp_path / "in" / "out", recursive=True
        )
        assert len(report.done) + len(report.skipped) == 2
    for _ in range(2):
        report = segment_folder(color_model, tmp_path / "in", tmp_path / "in", save=["overlay"])
        assert len(report.done) + len(report.skipped) == 2 and not report.failed


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["x/a.jpg", "x/a.png"], ["a_jpg", "a_png"]),
        (["x/a.jpg", "x/A.png"], ["a_jpg", "A_png"]),
        (["x/a.jpg", "x/b.jpg"], ["a", "b"]),
        (["x/a.jpg", "y/a.jpg"], ["x/a_jpg", "y/a_jpg"]),
        (["x/a.jpg", "x/a.png", "x/a_jpg.png"], ["a_jpg_2", "a_png", "a_jpg"]),
        (["x", "y"], ["x/a", "x/b", "y/a"]),
        (["x/*.jpg", "y/a.jpg"], ["x/a_jpg", "b", "y/a_jpg"]),
        (["."], ["x/a", "x/b", "y/a"]),
    ],
)
def test_equal_names_do_not_meet(tmp_path, make_image, color_model, monkeypatch, inputs, expected):
    monkeypatch.chdir(tmp_path)
    named = [name for name in inputs if name[-4:] in (".jpg", ".png") and "*" not in name]
    names = named if len(named) == len(inputs) else ["x/a.jpg", "x/b.jpg", "y/a.jpg"]
    for seed, name in enumerate(names):
        make_image(name, seed=seed)
    out = tmp_path.parent / f"{tmp_path.name}_out"
    report = segment_folder(color_model, inputs, out, save=["json"], recursive=True)
    assert not report.failed
    found = sorted(f for f in files(out))
    if (
        "a_jpg_2" in expected
    ):  # which of the two is numbered does not matter, that none is lost does
        assert len(found) == len(expected)
    else:
        assert found == sorted(f"{name}.json" for name in expected)


BAD = {"empty.jpg": b"", "words.png": b"no picture", "cut.png": None}


def test_bad_files_do_not_stop_the_rest(tmp_path, make_image, color_model):
    for n in range(4):
        make_image(f"in/{n}.png", seed=n)
    whole = (tmp_path / "in" / "0.png").read_bytes()
    for name, data in BAD.items():
        (tmp_path / "in" / name).write_bytes(whole[:200] if data is None else data)
    told = []
    report = segment_folder(
        color_model,
        [tmp_path / "in", tmp_path / "none.png"],
        tmp_path / "out",
        batch_size=3,
        on_error=lambda path, reason: told.append((path, reason)),
    )
    assert len(report.done) == 4 and tuple(told) == report.failed
    assert {path.name for path, _ in report.failed} == {*BAD, "none.png"}
    for path, reason in report.failed:
        assert path.name in reason and "\n" not in reason


def test_failures_are_logged_where_nobody_listens(tmp_path, make_image, color_model, caplog):
    (tmp_path / "x.png").write_bytes(b"")
    segment_folder(color_model, tmp_path / "x.png", tmp_path / "out")
    assert "x.png" in caplog.text


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize("error", [ImageError("too odd"), OutOfMemoryError("CUDA"), MemoryError()])
def test_one_image_the_model_refuses_fails_alone(tmp_path, make_image, color_model, error):
    sizes = {"a": (20, 30), "big": (50, 60), "c": (20, 30)}
    paths = [make_image(f"{name}.png", size=size) for name, size in sizes.items()]
    segment = color_model.segment

    def picky(images, **options):
        if any(image.shape[0] == 50 for image in images):
            raise error
        return segment(images, **options)

    color_model.segment = picky
    report = segment_folder(color_model, paths, tmp_path / "out", batch_size=3)
    assert [path.name for path in report.done] == ["a.png", "c.png"]
    assert [path.name for path, _ in report.failed] == ["big.png"]
    assert "big.png" in report.failed[0][1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_is_finished_is_kept(tmp_path, make_image, color_model, error):
    paths = [make_image(f"in/{n}.png", seed=n) for n in range(9)]
    segment = color_model.segment

    def interrupted(images, **options):
        if len(color_model.batches) == 5:
            raise error
        return segment(images, **options)

    color_model.segment = interrupted
    with pytest.raises(error):
        segment_folder(color_model, paths, tmp_path / "out")
    del color_model.segment
    assert len(list((tmp_path / "out").glob("*.json"))) == 5
    report = segment_folder(color_model, paths, tmp_path / "out")
    assert len(report.skipped) == 5 and len(report.done) == 4
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk_stops_the_run_once(tmp_path, make_image, color_model, monkeypatch, number):
    paths = [make_image(f"in/{n}.png", seed=n) for n in range(9)]
    real = os.replace

    def full(source, target):
        if str(target).endswith(("3.json", "4.json")):
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SaveError, match="kept"):
        segment_folder(color_model, paths, tmp_path / "out", threads=1)
    assert (tmp_path / "out" / "0.json").exists() and not (tmp_path / "out" / "3.json").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_a_name_too_long_fails_alone(tmp_path, make_image, color_model):
    paths = [make_image(f"{'x' * 251}.png"), make_image("a.png")]
    report = segment_folder(color_model, paths, tmp_path / "out")
    assert [p.name for p in report.done] == ["a.png"] and len(report.failed) == 1


def test_an_output_folder_that_cannot_be_written(tmp_path, make_image, color_model):
    path = make_image("a.png")
    with pytest.raises(SaveError, match="choose another"):
        segment_folder(color_model, path, path)
    assert color_model.batches == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"save": ["masks"]}, ValueError, "masks"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"threads": 0}, ValueError, "threads"),
        ({"inputs": "none.png"}, FileNotFoundError, r"none\.png"),
        ({"inputs": []}, FileNotFoundError, "No images"),
    ],
)
def test_calls_that_are_refused(tmp_path, make_image, color_model, options, error, message):
    given = {"inputs": make_image("a.png"), "out": tmp_path / "out", **options}
    with pytest.raises(error, match=message):
        segment_folder(color_model, **given)


def test_record_tells_the_settings(tmp_path, make_image, color_model):
    path = make_image("a.png")
    segment_folder(
        color_model, path, tmp_path, settings={"precision": "fp32"}, classes=["r", "g", "b"]
    )
    run = json.loads((tmp_path / "a.json").read_text())["info"]["run"]
    assert run["settings"]["precision"] == "fp32" and run["settings"]["classes"] == ["r", "g", "b"]
    assert run["source"]["bytes"] == path.stat().st_size


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


def told(report):
    """A report as plain values, in an order of its own only where files failed."""
    failed = sorted((path.name, reason) for path, reason in report.failed)
    return [[p.name for p in report.done], sorted(p.name for p in report.skipped), failed]


def test_two_processes_share_the_files(tmp_path, make_image, color_model):
    for n in range(7):
        make_image(f"in/{n}.png", seed=n)
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    alone = segment_folder(color_model, tmp_path / "in", tmp_path / "one")

    def work(rank):
        start_processes("pytorch", timeout=60)
        color_model.batches.clear()
        found = segment_folder(color_model, tmp_path / "in", tmp_path / "two")
        assert 3 <= sum(color_model.batches) <= 4  # each a part
        again = segment_folder(color_model, tmp_path / "in", tmp_path / "two")
        end_processes()
        assert sorted(told(again)[1]) == told(alone)[0]
        return 0 if told(found) == told(alone) else 1

    assert run_two(work) == [0, 0]
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_killed_process_loses_nothing_that_is_finished(tmp_path, make_image, color_model):
    for n in range(8):
        make_image(f"in/{n}.png", seed=n)
    out = tmp_path / "out"
    segment = color_model.segment

    def work(rank):
        def killed(images, **options):
            if rank == 1 and len(color_model.batches) == 2:
                while len(list(out.glob("[135].json"))) < 2:  # written behind
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
            return segment(images, **options)

        start_processes("pytorch", timeout=60)
        color_model.segment = killed
        segment_folder(color_model, tmp_path / "in", out)
        return 0

    codes = run_two(work)
    assert codes[1] == -signal.SIGKILL and codes[0] != 0
    report = segment_folder(color_model, tmp_path / "in", out)
    assert len(report.skipped) == 4 + 2 and len(report.done) == 2
    segment_folder(color_model, tmp_path / "in", tmp_path / "one")
    assert contents(out) == contents(tmp_path / "one")


def test_processes_fail_together(tmp_path, make_image, color_model):
    make_image("in/a.png"), make_image("in/b.png", seed=1)
    (tmp_path / "file").write_text("not a folder")

    def work(rank):
        start_processes("pytorch", timeout=60)
        failing = [color_model, lambda: 1 / 0][rank]
        attempts = [
            (color_model, tmp_path / "in", tmp_path / "file", (SaveError, PeerError)),
            (color_model, tmp_path / "none", tmp_path / "out", (FileNotFoundError, PeerError)),
            (failing, tmp_path / "in", tmp_path / "out", (PeerError, ZeroDivisionError)),
        ]
        for model, inputs, out, errors in attempts:
            with pytest.raises(errors[rank]):
                segment_folder(model, inputs, out)
        end_processes()
        return 0

    assert run_two(work) == [0, 0]
