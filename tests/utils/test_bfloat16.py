from __future__ import annotations

import pytest
import torch

from ovseg.utils.bfloat16 import computes_bfloat16


@pytest.mark.parametrize(
    ("device", "told", "expected"),
    [
        ("cpu", {"avx512_bf16": True}, True),
        ("cpu", {"amx_bf16": True, "avx512_bf16": False}, True),
        ("cpu", {"amx_bf16": False, "avx512_bf16": False}, False),
        ("cpu", {"neon": True}, None),  # another kind of processor
        ("cpu", None, None),  # a torch that does not tell
        ("cuda:0", {"avx512_bf16": False}, True),
    ],
)
def test_what_a_device_has(device, told, expected, monkeypatch):
    if told is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert computes_bfloat16(device) is expected
