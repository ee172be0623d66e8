"""Prompt templates: the sentences a class name is put into before it is read by a text tower."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ovseg.errors import VocabularyError

PLACEHOLDER = "{}"

OPENAI80 = (
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a sculpture of a {}.",
    "a photo of the hard to see {}.",
    "a low resolution photo of the {}.",
    "a rendering of a {}.",
    "graffiti of a {}.",
    "a bad photo of the {}.",
    "a cropped photo of the {}.",
    "a tattoo of a {}.",
    "the embroidered {}.",
    "a photo of a hard to see {}.",
    "a bright photo of a {}.",
    "a photo of a clean {}.",
    "a photo of a dirty {}.",
    "a dark photo of the {}.",
    "a drawing of a {}.",
    "a photo of my {}.",
    "the plastic {}.",
    "a photo of the cool {}.",
    "a close-up photo of a {}.",
    "a black and white photo of the {}.",
    "a painting of the {}.",
    "a painting of a {}.",
    "a pixelated photo of the {}.",
    "a sculpture of the {}.",
    "a bright photo of the {}.",
    "a cropped photo of a {}.",
    "a plastic {}.",
    "a photo of the dirty {}.",
    "a jpeg corrupted photo of a {}.",
    "a blurry photo of the {}.",
    "a photo of the {}.",
    "a good photo of the {}.",
    "a rendering of the {}.",
    "a {} in a video game.",
    "a photo of one {}.",
    "a doodle of a {}.",
    "a close-up photo of the {}.",
    "a photo of a {}.",
    "the origami {}.",
    "the {} in a video game.",
    "a sketch of a {}.",
    "a doodle of the {}.",
    "a origami {}.",
    "a low resolution photo of a {}.",
    "the toy {}.",
    "a rendition of the {}.",
    "a photo of the clean {}.",
    "a photo of a large {}.",
    "a rendition of a {}.",
    "a photo of a nice {}.",
    "a photo of a weird {}.",
    "a blurry photo of a {}.",
    "a cartoon {}.",
    "art of a {}.",
    "a sketch of the {}.",
    "a embroidered {}.",
    "a pixelated photo of a {}.",
    "itap of the {}.",
    "a jpeg corrupted photo of the {}.",
    "a good photo of a {}.",
    "a plushie {}.",
    "a photo of the nice {}.",
    "a photo of the small {}.",
    "a photo of the weird {}.",
    "the cartoon {}.",
    "art of the {}.",
    "a drawing of the {}.",
    "a photo of the large {}.",
    "a black and white photo of a {}.",
    "the plushie {}.",
    "a dark photo of a {}.",
    "itap of a {}.",
    "graffiti of the {}.",
    "a toy {}.",
    "itap of my {}.",
    "a photo of a cool {}.",
    "a photo of a small {}.",
    "a tattoo of the {}.",
)
"""The 80 ImageNet templates of CLIP (openai/CLIP, Prompt_Engineering_for_ImageNet; MIT)."""

OPENAI7 = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The 7 of them that did best on ImageNet, by the same source."""

VILD14 = (
    "a photo of a {}.",
    "This is a photo of a {}",
    "There is a {} in the scene",
    "There is the {} in the scene",
    "a photo of a {} in the scene",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "This is a photo of a small {}.",
    "This is a photo of a medium {}.",
    "This is a photo of a large {}.",
    "There is a small {} in the scene.",
    "There is a medium {} in the scene.",
    "There is a large {} in the scene.",
)
"""The 14 templates of ViLD (Gu et al., 2022), in the order and spelling of FC-CLIP."""

TEMPLATE_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"openai80": OPENAI80, "openai7": OPENAI7, "vild14": VILD14, "none": (PLACEHOLDER,)}
)
"""Template sets by name; "none" is the bare class name."""


def list_templates() -> tuple[str, ...]:
    """Name the template sets ``get_templates`` knows."""
    return tuple(TEMPLATE_SETS)


def get_templates(templates: str | Iterable[str]) -> tuple[str, ...]:
    """Find a template set by name, or check the user's own templates.

    Args:
        templates: A name ("openai80", "openai7", "vild14", "none"), one template, or a list of
            templates; each template holds ``{}`` once, where the class name goes.

    Returns:
        The templates, at least one.

    Raises:
        VocabularyError: An unknown name, an empty list, a template that does not hold exactly one
            ``{}``, or the same template twice.
    """
    if isinstance(templates, str):
        if templates in TEMPLATE_SETS:
            return TEMPLATE_SETS[templates]
        if PLACEHOLDER not in templates:
            raise VocabularyError(
                f'there is no template set "{templates}": there are '
                f"{', '.join(TEMPLATE_SETS)}, or give templates that hold {PLACEHOLDER}"
            )
        templates = [templates]
    if not isinstance(templates, Iterable) or isinstance(templates, bytes | Mapping):
        raise VocabularyError(
            f"templates are given as a name or as a list of strings, not as "
            f"{type(templates).__name__}"
        )
    own = tuple(templates)
    if not own:
        raise VocabularyError('the list of templates is empty: give "none" for bare class names')
    for place, template in enumerate(own, start=1):
        if not isinstance(template, str):
            raise VocabularyError(
                f"template {place} is of type {type(template).__name__}, not a string"
            )
        if template.count(PLACEHOLDER) != 1:
            raise VocabularyError(
                f'template {place}, "{template}", holds {PLACEHOLDER} '
                f"{template.count(PLACEHOLDER)} times: it must stand there once, for the name"
            )
        if own.index(template) != place - 1:
            raise VocabularyError(f'template {place}, "{template}", is given twice: keep one')
    return own


def fill(template: str, word: str) -> str:
    """Put a word into a template; other braces in either are left alone."""
    return template.replace(PLACEHOLDER, word)
