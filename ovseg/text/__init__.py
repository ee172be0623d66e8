"""Words: vocabularies, prompt templates, and text classifiers with their disk cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovseg.text.builtin import list_vocabularies
from ovseg.text.templates import get_templates, list_templates
from ovseg.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ovseg.text.classifier import TextClassifier, TextEncoder

__all__ = [
    "TextClassifier",
    "TextEncoder",
    "Vocabulary",
    "get_templates",
    "list_templates",
    "list_vocabularies",
]


def __getattr__(name: str) -> object:
    # The classifier needs torch; naming classes and templates does not, and stays light.
    if name in ("TextClassifier", "TextEncoder"):
        from ovseg.text import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
