import argparse

import pytest

from ovseg.apis.arguments import (
    add_model_arguments,
    exit_code,
    parse_model_arguments,
    positive,
    read_classes,
)
from ovseg.errors import (
    CheckpointMismatchError,
    ConfigError,
    SaveError,
    VocabularyError,
    WeightsNotFoundError,
)


@pytest.mark.parametrize(
    ("words", "background", "classes"),
    [
        (["cat"], None, ("cat",)),
        (["cat", "dog"], [], ("background", "cat", "dog")),
        (["cat", "dog"], ["sky", "wall"], ("background", "cat", "dog")),
        (["{file}"], None, ("tree", "river")),
    ],
)
def test_classes(tmp_path, words, background, classes):
    (tmp_path / "my.txt").write_text("tree; oak\nriver\n", encoding="utf-8")
    words = [word.format(file=tmp_path / "my.txt") for word in words]
    vocabulary = read_classes(words, background)
    assert vocabulary.classes == classes
    if background:
        assert vocabulary.queries[:2] == ("sky", "wall")


def test_built_in_lists():
    assert len(read_classes(["ade20k-150"], None)) == 150
    assert len(read_classes(["voc-20"], [])) == 21


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ade20k-15"], "ade20k-150"),
        ([""], "empty"),
        (["cat", "cat"], "cat"),
        (["none.txt"], "none"),
    ],
)
def test_words_that_are_refused(words, message):
    with pytest.raises((VocabularyError, FileNotFoundError), match=message):
        read_classes(words, None)


@pytest.mark.parametrize(
    ("given", "options", "classes"),
    [
        ([], {}, ("cat",)),
        (["--precision", "bf16"], {"precision": "bf16"}, ("cat",)),
        (["--random-weights"], {"pretrained": False}, ("cat",)),
        (["--weights", "w.pt"], {"weights": "w.pt"}, ("cat",)),
        (
            ["--threshold", "0.3"],
            {"protocol": {"prob_threshold": 0.3}},
            ("background", "cat"),
        ),
        (
            ["--threshold", "0.3", "--background", "sky", "wall"],
            {"protocol": {"prob_threshold": 0.3}},
            ("background", "cat"),
        ),
        (["--threshold", "0"], {}, ("cat",)),
    ],
)
def test_only_options_that_were_given_reach_the_model(given, options, classes):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    args = parse_model_arguments(parser, ["--classes", "cat", *given])
    assert args.model_options == options
    assert args.vocabulary.classes == classes


@pytest.mark.parametrize(
    "given", [["--weights", "w.pt", "--random-weights"], ["--threshold", "1"], ["--threshold", "x"]]
)
def test_options_that_are_refused(given):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    with pytest.raises(SystemExit) as caught:
        parse_model_arguments(parser, ["--classes", "cat", *given])
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (VocabularyError("x"), 2),
        (FileNotFoundError("x"), 2),
        (WeightsNotFoundError("x"), 1),
        (CheckpointMismatchError("x"), 1),
        (SaveError("x"), 1),
    ],
)
def test_exit_codes(error, code):
    assert exit_code(error) == code


def test_positive():
    assert positive("3") == 3
    for text in ("0", "-1"):
        with pytest.raises(argparse.ArgumentTypeError):
            positive(text)
