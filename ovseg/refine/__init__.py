"""Step 5: what may be done to labels once every pixel has logits."""

from ovseg.refine.base import Refiner

__all__ = ["Refiner"]
