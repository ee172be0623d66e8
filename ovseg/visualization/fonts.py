"""Text on pictures: a font that is surely there, names of any alphabet, and cutting long names."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

__all__ = ["clean_text", "fit_text", "font_for"]

# Asked for by file name, in this order, only when a name has letters DejaVu lacks.
_FALLBACKS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "YuGothM.ttc",
    "Arial Unicode.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
)


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of the given size that has the letters of the text, as far as this machine has one.

    DejaVu Sans, which comes with matplotlib, covers Latin, Greek, Cyrillic, Arabic and more; other
    letters are looked for in common system fonts. Letters no font has are drawn as boxes.

    Args:
        text: what is to be written.
        size: height of the font in pixels.
    """
    default = _font(None, size)
    letters = {letter for letter in text if not letter.isspace()}
    missing = _missing(default, letters)
    if not missing:
        return default
    for name in _FALLBACKS:
        font = _font(name, size)
        if font is not None and len(_missing(font, letters)) < len(missing):
            return font
    return default


def clean_text(text: str) -> str:
    """The text on one line, without control characters."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable()) or "?"


def fit_text(text: str, size: int, width: float) -> str:
    """The text, cut with an ellipsis where it is wider than ``width`` pixels."""
    font = font_for(text, size)
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)  # the most letters that fit, by bisection
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle].rstrip() + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


@lru_cache(maxsize=256)
def _font(name: str | None, size: int) -> ImageFont.FreeTypeFont | None:
    if name is None:
        path = _dejavu()
        return ImageFont.truetype(str(path), size) if path else ImageFont.load_default(size)
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


@lru_cache(maxsize=1)
def _dejavu() -> Path | None:
    """DejaVu Sans inside matplotlib, found without importing matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return path if path.is_file() else None


def _missing(font: ImageFont.FreeTypeFont, letters: set[str]) -> set[str]:
    """Letters the font has no glyph for: they are drawn as the same box as a non-character."""
    box = bytes(font.getmask("\uffff"))
    return {c for c in letters if ord(c) > 126 and bytes(font.getmask(c)) == box}
