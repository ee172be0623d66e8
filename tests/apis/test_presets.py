"""Any method under any protocol, by the name of the protocol."""

from __future__ import annotations

import argparse
import warnings

import pytest
from mmengine.config import Config

import ovseg
from ovseg.apis.arguments import add_model_arguments, parse_model_arguments
from ovseg.apis.presets import THRESHOLDS, list_protocols, protocol_preset, set_protocol
from ovseg.apis.running import add_common_arguments, load_config
from ovseg.apis.zoo import config_root
from ovseg.errors import ConfigError
from ovseg.segmentors import Protocol
from tools.test import parse_args

PUBLISHED = ("sclip-336", "trident-576", "tcl-448", "cliptrase-square", "proxyclip-336")


def config_of(name):
    return Config.fromfile(config_root() / name.partition("_vit")[0] / f"{name}.py")


def test_the_published_ones_are_there():
    assert set(PUBLISHED) <= set(list_protocols())
    assert ovseg.list_protocols() == list_protocols()


@pytest.mark.parametrize("name", list_protocols())
def test_a_preset_bears_the_name_of_its_file_and_has_no_threshold(name):
    preset = protocol_preset(name)
    assert preset["name"] == name
    assert not set(preset) & set(THRESHOLDS)
    assert set(preset) | set(THRESHOLDS) == set(Protocol.__dataclass_fields__)
    Protocol.load(preset)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(
    "model", ["sclip_vit-b16_voc-21", "cliptrase_vit-b16", "clip_dinoiser_vit-b16_voc-20"]
)
def test_nothing_of_the_former_protocol_is_left_but_thresholds(model, name):
    settings = config_of(model).model
    before = Protocol.load(settings.protocol)
    set_protocol(settings, name)
    after = Protocol.load(settings.protocol).as_dict()
    for key in THRESHOLDS:
        assert after.pop(key) == getattr(before, key)
    assert after == protocol_preset(name)


def test_a_threshold_at_the_patches_falls_where_the_softmax_is_at_pixels():
    settings = config_of("clip_dinoiser_vit-b16_voc-21").model
    with pytest.warns(UserWarning, match=r"foreground_threshold=0\.99 is left out"):
        set_protocol(settings, "sclip-336")
    assert Protocol.load(settings.protocol).foreground_threshold == 0
    settings = config_of("clip_dinoiser_vit-b16_voc-21").model
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        set_protocol(settings, "tcl-448")
    assert Protocol.load(settings.protocol).foreground_threshold == 0.99


def test_unknown_names_list_those_there_are():
    with pytest.raises(ConfigError, match=r"'trident-57' \(did you mean trident-576\?\)") as caught:
        protocol_preset("trident-57")
    assert all(name in str(caught.value) for name in list_protocols())
    with pytest.raises(ConfigError, match=r"nothing like it.*sclip-336"):
        ovseg.create_model("maskclip_nano", protocol="nothing like it")


def test_a_model_without_a_protocol_says_so():
    for model in ({"type": "SegDataPreProcessor"}, {}):
        with pytest.raises(ConfigError, match="takes no protocol such as sclip-336"):
            set_protocol(model, "sclip-336")


@pytest.mark.filterwarnings("ignore:.*random weights")
@pytest.mark.parametrize("name", ["tcl-448", "cliptrase-square"])
def test_create_model_takes_a_name(name):
    model = ovseg.create_model("maskclip_nano", pretrained=None, protocol=name)
    assert model.model.protocol == Protocol.load(protocol_preset(name))
    assert model.model.data_preprocessor.short_side == model.model.protocol.short_side


def test_the_tool_takes_a_name_and_single_settings_win(tmp_path):
    path = str(config_root() / "sclip" / "sclip_vit-b16_voc-21.py")
    given = [path, "--protocol", "trident-576", "--cfg-options", "model.protocol.stride=112"]
    protocol = Protocol.load(load_config(parse_args(given)).model.protocol)
    expected = {**protocol_preset("trident-576"), "stride": 112}
    assert protocol == Protocol.load({**expected, "prob_threshold": 0.1, "area_threshold": 0.1})
    with pytest.raises(ConfigError, match="trident-57'"):
        load_config(parse_args([path, "--protocol", "trident-57"]))
    path = tmp_path / "none.py"
    path.write_text("a = 1\n")
    with pytest.raises(ConfigError, match="takes no protocol"):
        load_config(parse_args([str(path), "--protocol", "tcl-448"]))


def test_other_tools_have_no_protocols():
    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    path = str(config_root() / "maskclip" / "maskclip_nano.py")
    assert load_config(parser.parse_args([path])).model.protocol.name == "nano-128"


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        (["--protocol", "trident-576"], "trident-576"),
        (
            ["--protocol", "trident-576", "--threshold", "0.3"],
            {**protocol_preset("trident-576"), "prob_threshold": 0.3},
        ),
    ],
)
def test_the_demos_take_a_name(given, protocol):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    args = parse_model_arguments(parser, ["--classes", "cat", *given])
    assert args.model_options == {"protocol": protocol}


def test_the_demos_refuse_other_names(capsys):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    with pytest.raises(SystemExit):
        parse_model_arguments(parser, ["--classes", "cat", "--protocol", "trident"])
    assert "trident-576" in capsys.readouterr().err
