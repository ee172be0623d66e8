from __future__ import annotations

import pytest

from ovseg.datasets.scenes.render import Scene, render


@pytest.fixture(scope="session")
def many_scenes() -> list[Scene]:
    """Enough small scenes to see everything that can occur."""
    return [render((50, i), 48) for i in range(300)]
