"""Mistakes in configs are told in one sentence; bugs stay what they are."""

from __future__ import annotations

import pytest
from mmengine.config import Config

import ovseg
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.utils.config_errors import building, change_config, read_config

UNREADABLE = {
    # content of the config, what is said
    "a = 1\nb = (2,\n": "SyntaxError: '(' was never closed in line 2",
    "a = nothing\n": "NameError: name 'nothing' is not defined",
    "a = [1][2]\n": "IndexError: list index out of range",
    "_base_ = 'base.py'\n": "SyntaxError: '[' was never closed in line 1",
    "_base_ = 'gone.py'\n": "inherits from a file that is missing",
    "_base_ = 'good.py'\nb = {{_base_.b}}\n": "KeyError: b",
    "custom_imports = dict(imports=['no_such_module'])\n": "No module named 'no_such_module'",
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_read(tmp_path, text):
    (tmp_path / "base.py").write_text("a = [\n")
    (tmp_path / "good.py").write_text("a = 1\n")
    path = tmp_path / "config.py"
    path.write_text(text)
    for read in (read_config, ovseg.create_model):
        with pytest.raises(ConfigError) as caught:
            read(str(path))
        message = str(caught.value)
        assert UNREADABLE[text] in message and "config.py" in message and "\n" not in message


def test_a_bug_in_an_imported_module_is_none_of_the_config(tmp_path, monkeypatch):
    (tmp_path / "module_with_a_bug.py").write_text("{}['gone']\n")
    (tmp_path / "config.py").write_text("custom_imports = dict(imports=['module_with_a_bug'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyError, match="gone"):
        read_config(tmp_path / "config.py")


@pytest.mark.parametrize(
    "changes",
    [{"model.type.x": 3}, {"model.parts.7": 3}, {"model.parts.x": 1}, {"model.parts.1.x": 3}],
)
def test_what_cannot_be_changed(changes):
    config = Config(dict(model=dict(type="Any", parts=[1, 2])))
    with pytest.raises(ConfigError, match=f"cannot be changed by {next(iter(changes))}="):
        change_config(config, changes)


class Part:
    """Takes one setting and needs it."""

    def __init__(self, size):
        self.size = {"small": 1}[size] if isinstance(size, str) else size + 1


class Passing(Part):
    """Hands on what it does not know."""

    def __init__(self, **settings):
        super().__init__(**settings)


@pytest.fixture
def parts():
    for part in (Part, Passing):
        MODELS.register_module(module=part)
    yield
    for part in (Part, Passing):
        MODELS.module_dict.pop(part.__name__)


MISTAKES = [
    (dict(type="NoPart"), "NoPart is not in the ovseg::model registry"),
    (dict(size=3), 'must contain the key "type"'),
    (dict(type=3), "type must be a str"),
    (dict(type="Part"), "missing 1 required positional argument: 'size'"),
    (dict(type="Part", size=3, foo=3), "unexpected keyword argument 'foo'"),
    (dict(type="Passing", size=3, foo=3), "unexpected keyword argument 'foo'"),
]
BUGS = [
    (dict(type="Part", size="large"), KeyError),
    (dict(type="Part", size=[3]), TypeError),
    (dict(type="Passing"), TypeError),  # the class should have said that it needs it
]


@pytest.mark.parametrize(("config", "message"), MISTAKES)
def test_mistakes_of_what_is_built(parts, config, message):
    with pytest.raises(ConfigError) as caught, building("The part", config):
        MODELS.build(config)
    told = str(caught.value)
    assert told.startswith("The part cannot be built (") and message in told
    assert "Please" not in told and "\n" not in told


@pytest.mark.parametrize(("config", "kind"), BUGS)
def test_bugs_of_what_is_built(parts, config, kind):
    with pytest.raises(kind), building("The part", config):
        MODELS.build(config)


def test_settings_that_a_model_does_not_take():
    with pytest.raises(ConfigError, match=r"maskclip_nano cannot be built .*'foo'"):
        ovseg.create_model("maskclip_nano", foo=3)
