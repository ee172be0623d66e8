"""What every frozen encoder promises: precision, evaluation mode, no gradients of its own."""

from __future__ import annotations

import contextlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import nn

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "PRECISIONS", "Encoder", "RandomWeightsWarning"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class RandomWeightsWarning(UserWarning):
    """An encoder was built without trained weights; its features mean nothing."""


class Encoder(nn.Module, ABC):
    """Base of every encoder.

    A subclass builds its modules in ``__init__`` and calls :meth:`finish` last. From then on:

    - the parameters have ``requires_grad=False`` and ``train()`` leaves the encoder in evaluation
      mode, unless it was built with ``frozen=False``;
    - the weights are held in ``precision``; :meth:`door` casts images to it, and public methods
      return float32 (:meth:`out`);
    - methods that read images run without gradients while the encoder is frozen
      (:meth:`no_grad_if_frozen`). ``torch.inference_mode`` is not used, because heads are trained
      on the features and inference tensors cannot be saved for a backward pass. Methods that work
      on features (projections, pieces of the last block) never switch gradients off, so that a
      trained part in front of them learns through them;
    - nothing is written to a parameter or buffer during a forward pass.

    Args:
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        frozen: ``False`` leaves the parameters trainable and lets ``train()`` through.

    Attributes:
        mean: RGB mean (values 0..1) images must be normalised with.
        std: RGB standard deviation, likewise.
        precision: The name of the precision the weights were cast to.

    Raises:
        ValueError: Unknown ``precision``.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __init__(self, precision: str = "fp32", frozen: bool = True) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(
                f"precision {precision!r} is not known: choose one of {', '.join(PRECISIONS)}."
            )
        self.precision = precision
        self.frozen = frozen

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Stable name of architecture and weights; contains ``random`` for untrained weights."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Floating dtype of the weights."""
        return next(p.dtype for p in self.parameters() if p.is_floating_point())

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks of a transformer, first to last; none where it is of another kind."""
        return []

    def compile_blocks(self, **options) -> None:
        """Compile the blocks, each by itself, at their first run on tensors of a new shape.

        Blocks of one architecture share what is compiled, so this is quick, and the weights, their
        names and everything that is done between blocks stay as they are. Blocks that a method
        takes apart (the last one) run as before.

        Args:
            options: for :func:`torch.compile`, such as ``mode="max-autotune"``.
        """
        for block in self.blocks:
            block.compile(**options)

    def finish(self) -> None:
        """Cast the weights to the precision, freeze them, and switch to evaluation mode."""
        self.to(PRECISIONS[self.precision])
        self.requires_grad_(not self.frozen)
        self.train(not self.frozen)

    def train(self, mode: bool = True) -> Encoder:
        """As :meth:`torch.nn.Module.train`, except that a frozen encoder stays in evaluation."""
        return super().train(mode and not self.frozen)

    @contextlib.contextmanager
    def no_grad_if_frozen(self) -> Iterator[None]:
        """Context in which image-reading methods run."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            yield

    def door(self, images: torch.Tensor) -> torch.Tensor:
        """Check a batch of images and cast it to the dtype of the weights.

        Args:
            images: (B, 3, H, W) float, RGB, normalised with :attr:`mean` and :attr:`std`.

        Raises:
            TypeError: Not a floating point tensor.
            ValueError: Not of shape (B, 3, H, W), empty, or on another device than the weights.
        """
        if not isinstance(images, torch.Tensor) or not images.is_floating_point():
            kind = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
            raise TypeError(
                f"{type(self).__name__} takes a normalised float tensor (B, 3, H, W), not {kind}."
            )
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(
                f"{type(self).__name__} takes images of shape (B, 3, H, W), "
                f"not {tuple(images.shape)}."
            )
        if images.device != self.device:
            raise ValueError(
                f"images are on {images.device} and {type(self).__name__} is on {self.device}: "
                "move one of them with .to()."
            )
        return images.to(self.dtype)

    def check_divisible(self, images: torch.Tensor, step: int) -> None:
        """Refuse sizes that ``step`` does not divide.

        Raises:
            ValueError: Height or width is not a multiple of ``step``; names both sizes.
        """
        height, width = images.shape[-2:]
        if height % step or width % step:
            raise ValueError(
                f"image size {height} x {width} is not a multiple of the patch size {step} of "
                f"{type(self).__name__}: pad or resize it to "
                f"{-(-height // step) * step} x {-(-width // step) * step}."
            )

    @staticmethod
    def out(features: torch.Tensor) -> torch.Tensor:
        """Features as public methods return them: float32."""
        return features.float()

    def warn_random(self, name: str) -> None:
        """Say once, while building, that the weights are random."""
        warnings.warn(
            f"{type(self).__name__} {name!r} has random weights (pretrained=None): its features "
            "mean nothing until trained weights are loaded.",
            RandomWeightsWarning,
            stacklevel=3,
        )
