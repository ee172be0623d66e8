"""A device that is not there is told with those that are."""

from __future__ import annotations

import pytest
import torch

import ovseg
from ovseg.errors import ConfigError
from ovseg.utils.devices import check_device, list_devices

#: None of these is on any machine.
ABSENT = ["cuda:97", torch.device("cuda:97"), "cuba", "cuda:-2"]


def test_devices_that_are_there():
    assert list_devices()[0] == "cpu"
    for device in list_devices():
        check_device(device)
        check_device(torch.device(device))


@pytest.mark.parametrize("device", ABSENT, ids=str)
def test_devices_that_are_not_there(device):
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        check_device(device)
    message = str(caught.value)
    assert repr(str(device)) in message and "\n" not in message
    assert message.endswith(f"of this machine: {', '.join(list_devices())}.")


@pytest.mark.parametrize("device", ABSENT, ids=str)
def test_models_are_not_moved_there(device):
    with pytest.raises(ConfigError, match="cannot be used"):
        ovseg.create_model("maskclip_nano", device=device)
    model = ovseg.create_model("maskclip_nano", device="cpu")
    with pytest.raises(ConfigError, match="cannot be used"):
        model.to(device)
