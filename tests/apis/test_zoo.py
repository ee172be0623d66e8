from __future__ import annotations

import pytest
from mmengine.config import Config

import ovseg
from ovseg.apis.zoo import config_root, model_info
from ovseg.errors import ConfigError


@pytest.mark.parametrize("info", ovseg.list_models(), ids=lambda info: info.name)
def test_every_model_has_a_config_that_is_named_after_it(info):
    config = Config.fromfile(config_root() / info.config)
    assert config.model.type
    assert info.config.endswith(f"{info.name}.py")
    assert info.parameters > 0
    assert info.download >= 0
    assert info.licence
    assert info.description.endswith(".")


def test_listing():
    names = [info.name for info in ovseg.list_models()]
    assert names == sorted(names)
    assert {"maskclip_nano", "maskclip_vit-b16"} <= set(names)
    assert {info.name for info in ovseg.list_models("nano")} == {n for n in names if "nano" in n}


def test_close_names_are_suggested():
    with pytest.raises(ConfigError, match="maskclip_nano"):
        model_info("maskclip_nanu")
    with pytest.raises(ConfigError, match="list_models"):
        model_info("zzzzzz")
