"""Loops compile with and without a place for their machine code."""

from __future__ import annotations

import numba
import pytest

from ovseg.utils.compiled import compiled


@pytest.mark.parametrize("options", [{}, {"fastmath": {"contract"}}])
@pytest.mark.parametrize("kept", [True, False])
def test_loops_compile(kept, options, monkeypatch):
    real, asked = numba.njit, []

    def njit(function, cache=False, **given):
        asked.append((cache, given))
        if cache and not kept:
            raise RuntimeError("cannot cache function: no locator available")
        return real(function, **given)

    with monkeypatch.context() as patch:  # numba compiles functions of its own when one is called
        patch.setattr(numba, "njit", njit)
        loop = compiled(**options)(lambda x: x + 1)
    assert loop(1) == 2
    wanted = {"nogil": True, **options}
    assert asked == [(True, wanted), (False, wanted)][: 1 if kept else 2]
