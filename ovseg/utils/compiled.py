"""Compiling loops by numba.

Compiled functions that call each other stand in one module: numba keeps machine code on disk and
makes it anew when the function's own file changes, not when another file does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """Compile at first use; the machine code is kept on disk where there is a place for it.

    Args:
        options: of `numba.njit`, for example ``fastmath``.
    """

    def compile_it(function: Callable) -> Callable:
        try:
            return numba.njit(function, cache=True, nogil=True, **options)
        except RuntimeError:  # neither the package nor the user's cache folder can be written to
            return numba.njit(function, nogil=True, **options)

    return compile_it
