"""Step 5: what may be done to labels once every pixel has logits."""

from ovseg.refine.base import Refiner
from ovseg.refine.cliptrase import CLIPtraseRefiner
from ovseg.refine.pamr import PAMR
from ovseg.refine.sam_prompts import SAMRefiner

__all__ = ["PAMR", "CLIPtraseRefiner", "Refiner", "SAMRefiner"]
