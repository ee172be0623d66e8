"""Frozen foundation models behind small interfaces, and how their weights are found."""

from ovseg.encoders.base import Encoder, RandomWeightsWarning
from ovseg.encoders.clip_conv import CLIPConv
from ovseg.encoders.clip_text import CLIPText
from ovseg.encoders.clip_vit import CLIPViT, TokenState
from ovseg.encoders.dino import DINO, FeatureState
from ovseg.encoders.last_block import BlockPieces, LastBlock
from ovseg.encoders.position import POSITION_MODES, resize_position_embedding
from ovseg.encoders.sam import SAM, SAMState
from ovseg.encoders.weights import WeightSource, fetch, load_state_dict, sha256_of

__all__ = [
    "DINO",
    "POSITION_MODES",
    "SAM",
    "BlockPieces",
    "CLIPConv",
    "CLIPText",
    "CLIPViT",
    "Encoder",
    "FeatureState",
    "LastBlock",
    "RandomWeightsWarning",
    "SAMState",
    "TokenState",
    "WeightSource",
    "fetch",
    "load_state_dict",
    "resize_position_embedding",
    "sha256_of",
]
