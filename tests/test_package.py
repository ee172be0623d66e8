from __future__ import annotations

import subprocess
import sys

import pytest

import ovseg


def test_importing_loads_nothing_heavy():
    code = (
        "import ovseg, sys; heavy = {'torch', 'mmengine', 'mmseg', 'mmcv', 'open_clip', 'timm', "
        "'cv2', 'numpy', 'matplotlib', 'numba'}; print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", ovseg.__all__)
def test_every_public_name_is_there(name):
    assert getattr(ovseg, name) is not None
    assert name in dir(ovseg)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="segmnt"):
        _ = ovseg.segmnt


def test_the_embedded_weights_stay_small():
    from ovseg.encoders.sources import nano_file

    sizes = {path.name: path.stat().st_size for path in nano_file("").glob("*.safetensors")}
    assert len(sizes) >= 7
    assert sum(sizes.values()) <= 24e6
