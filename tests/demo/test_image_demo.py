import importlib.util
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ovseg
from ovseg.apis import PanopticResult, SegmentationResult
from ovseg.errors import ConfigError, WeightsNotFoundError
from tests.tiny import build_segmentor
from tests.two_processes import run_two

SCRIPT = Path(__file__).parents[2] / "demo" / "image_demo.py"
NANO = ["--model", "maskclip_nano"]
SEGMENT = {"id": 1, "category_id": 0, "isthing": True, "score": 0.5}


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("image_demo", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FakeModel:
    def segment(self, images, classes=None, *, batch_size=1):
        return [
            SegmentationResult(image.argmax(axis=-1) % len(classes), classes.classes)
            for image in images
        ]


@pytest.fixture
def asked(monkeypatch):
    """Stands in for create_model, and records how it was called."""
    calls = []

    def create_model(name, **options):
        calls.append((name, options))
        if name == "unknown":
            raise ConfigError("There is no model 'unknown'; see ovseg.list_models().")
        if name == "absent":
            raise WeightsNotFoundError("The weights are not here.")
        return FakeModel()

    monkeypatch.setattr(ovseg, "create_model", create_model, raising=False)
    return calls


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n, name in enumerate(("a.png", "b.jpg")):
        pixels = np.random.default_rng(n).integers(0, 255, (30, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_a_folder(demo, asked, photos, tmp_path, capsys):
    out = tmp_path / "out"
    argv = [str(photos), "--classes", "cat;kitty", "sofa", "--out", str(out), *NANO]
    argv += ["--device", "cpu", "--precision", "bf16", "--batch-size", "2"]
    assert demo.main(argv) == 0
    assert asked == [("maskclip_nano", {"device": "cpu", "precision": "bf16"})]
    assert SegmentationResult.load(out / "a.json").classes == ("cat", "sofa")
    assert "2 segmented, 0 there already, 0 failed" in capsys.readouterr().out
    assert demo.main(argv) == 0 and len(asked) == 1
    assert "0 segmented, 2 there already" in capsys.readouterr().out
    assert demo.main([*argv, "--overwrite"]) == 0 and len(asked) == 2


def test_a_bad_file_is_reported_and_the_exit_code_says_so(demo, asked, photos, tmp_path, capsys):
    (photos / "bad.jpg").write_bytes(b"")
    argv = [str(photos), "--classes", "cat", "--out", str(tmp_path / "out")]
    assert demo.main(argv) == 1
    captured = capsys.readouterr()
    assert captured.err.count("bad.jpg is empty") == 2  # as it happens, and at the end
    assert "2 segmented" in captured.out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["{photos}"], "--classes"),
        (["{photos}", "--classes"], "--classes"),
        (["--classes", "cat"], "INPUT"),
        (["{photos}", "--classes", ""], "--classes"),
        (["{photos}", "--classes", "cat", "cat"], "cat"),
        (["{photos}", "--classes", "none.txt"], r"none.txt"),
        (["{photos}", "--classes", "ade20k-15"], "ade20k-150"),
        (["{photos}", "--classes", "cat", "--background", "cat"], "cat"),
        (["{photos}", "--classes", "cat", "--batch-size", "0"], "at least 1"),
        (["{photos}", "--classes", "cat", "--batch-size", "x"], "batch-size"),
        (["{photos}", "--classes", "cat", "--save", "movie"], "movie"),
        (["{photos}/none.png", "--classes", "cat"], "does not exist"),
        (["{photos}/*.bmp", "--classes", "cat"], "No image matches"),
        (["{photos}", "--classes", "cat", "--model", "unknown"], "no model"),
    ],
)
def test_calls_that_cannot_start(demo, asked, photos, tmp_path, capsys, argv, message):
    argv = [word.format(photos=photos) for word in argv] + ["--out", str(tmp_path / "out")]
    try:
        code = demo.main(argv)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and message in error and "Traceback" not in error
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("case", ["weights", "output"])
def test_troubles_of_the_machine(demo, asked, photos, tmp_path, case, capsys):
    out = photos / "a.png" if case == "output" else tmp_path / "out"
    model = "absent" if case == "weights" else "maskclip_nano"
    argv = [str(photos), "--classes", "cat", "--model", model, "--out", str(out)]
    assert demo.main(argv) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_only_what_was_asked_for_is_saved(demo, asked, photos, tmp_path):
    out = tmp_path / "out"
    argv = [str(photos / "a.png"), "--classes", "cat", "dog", "--save", "sheet", "--out", str(out)]
    assert demo.main(argv) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "a_sheet.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_keeps_what_is_finished(photos, tmp_path):
    """A real signal to a real process, sent once the first image is segmented."""
    for n in range(6):
        Image.new("RGB", (20, 20), (n, 0, 0)).save(photos / f"more{n}.png")
    code = f"""
    import importlib.util, os, signal, sys
    import ovseg
    from ovseg.apis import PanopticResult, SegmentationResult
    calls = 0
    class Model:
        def segment(self, images, classes=None, *, batch_size=1):
            global calls
            calls += 1
            if calls == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return [SegmentationResult(i.argmax(axis=-1) * 0, classes.classes) for i in images]
    ovseg.create_model = lambda name, **options: Model()
    spec = importlib.util.spec_from_file_location("image_demo", {str(SCRIPT)!r})
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    sys.exit(demo.main([{str(photos)!r}, "--classes", "cat", "--out", {str(tmp_path / "out")!r}]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode == 130, done.stderr
    assert "Interrupted" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in sorted((tmp_path / "out").glob("*.json"))] == ["a.json", "b.json"]


def test_the_task_is_handed_on(demo, asked, photos, tmp_path, monkeypatch):
    given = []

    def segment(self, images, classes=None, *, batch_size=1, task="semantic"):
        given.append((task, classes.things.tolist()))
        return [
            PanopticResult(np.ones(image.shape[:2], int), [SEGMENT], classes.classes)
            for image in images
        ]

    monkeypatch.setattr(FakeModel, "segment", segment)
    out = tmp_path / "out"
    arguments = [str(photos), "--classes", "rug", "cat", "--task", "panoptic", "--stuff", "cat"]
    assert demo.main([*arguments, "--out", str(out), *NANO]) == 0
    assert given == [("panoptic", [False, False])] * 2
    assert len(PanopticResult.load(out / "a.json")) == 1


def test_a_model_that_does_not_know_the_task(demo, photos, tmp_path, capsys, monkeypatch):
    semantic = ovseg.Segmenter(build_segmentor(), "tiny")
    monkeypatch.setattr(ovseg, "create_model", lambda name, **options: semantic, raising=False)
    arguments = [str(photos), "--classes", "cat", "--task", "panoptic", "--out", str(tmp_path)]
    assert demo.main(arguments) == 2
    assert "tiny gives one class for each pixel" in capsys.readouterr().err


def test_stuff_that_is_no_class(demo, photos, capsys):
    with pytest.raises(SystemExit) as ended:
        demo.main([str(photos), "--classes", "cat", "--stuff", "lawn"])
    assert ended.value.code == 2 and "--stuff: 'lawn' is given as stuff" in capsys.readouterr().err


def test_two_processes(demo, asked, photos, tmp_path, capfd):
    argv = [str(photos), "--classes", "cat", "sofa", *NANO, "--device", "cpu"]
    assert demo.main([*argv, "--out", str(tmp_path / "one")]) == 0
    two = [*argv, "--out", str(tmp_path / "two"), "--launcher", "pytorch"]
    assert run_two(lambda rank: demo.main(two)) == [0, 0]
    one = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert len(one) == 6
    assert {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()} == one


def test_a_launcher_without_its_program(demo, asked, photos, monkeypatch, capsys):
    monkeypatch.delenv("RANK", raising=False)
    argv = [str(photos), "--classes", "cat", "sofa", *NANO, "--launcher", "pytorch"]
    assert demo.main(argv) == 2
    assert "torchrun starts, but RANK is not set" in capsys.readouterr().err
