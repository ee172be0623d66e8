"""What a Segment Anything model is made of: its sizes, and its three parts put together.

The parts are those of the installed ``segment_anything`` package. Its own registry only knows the
three published sizes at 1024 pixels; here a size is a value, so a small SAM is only another value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial

from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from torch import nn

from ovseg.errors import ConfigError

__all__ = ["SAM_ARCHITECTURES", "SAMArchitecture", "build_sam", "sam_architecture"]


@dataclass(frozen=True)
class SAMArchitecture:
    """The sizes that define a SAM.

    Attributes:
        embed_dim: Width of the image encoder.
        depth: Number of its blocks.
        num_heads: Attention heads of each block.
        global_attn_indexes: Blocks that attend over the whole image; all others attend in windows.
        window_size: Side of those windows, in patches; 0 makes every block global.
        image_size: Side of the square input, in pixels.
        patch_size: Side of a patch, in pixels.
        mlp_ratio: Hidden width of the encoder's MLPs over ``embed_dim``.
        out_chans: Channels of the image embedding, and width of the prompt encoder and decoder.
        mask_in_chans: Hidden channels of the mask prompt's convolutions; a multiple of 4.
        decoder_depth: Layers of the decoder's two-way transformer.
        decoder_heads: Its attention heads; they divide ``out_chans / 2``.
        decoder_mlp_dim: Hidden width of its MLPs.
        iou_hidden_dim: Hidden width of the head that predicts the mask quality.
        num_multimask_outputs: Masks given for one ambiguous prompt.
    """

    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    window_size: int = 14
    image_size: int = 1024
    patch_size: int = 16
    mlp_ratio: float = 4.0
    out_chans: int = 256
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_hidden_dim: int = 256
    num_multimask_outputs: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "global_attn_indexes", tuple(self.global_attn_indexes))
        if self.image_size < self.patch_size:
            raise ConfigError(
                f"SAM image_size {self.image_size} does not hold a patch of {self.patch_size} "
                "pixels; choose a larger one."
            )
        if self.image_size % self.patch_size:
            raise ConfigError(
                f"SAM image_size {self.image_size} is not a multiple of patch_size "
                f"{self.patch_size}; choose sizes that divide."
            )
        if self.embed_dim % self.num_heads:
            raise ConfigError(
                f"SAM embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}; "
                "choose sizes that divide."
            )
        if self.out_chans % (2 * self.decoder_heads) or self.out_chans % 8:
            raise ConfigError(
                f"SAM out_chans {self.out_chans} must be a multiple of 8 and of twice "
                f"decoder_heads ({self.decoder_heads})."
            )
        if self.mask_in_chans % 4:
            raise ConfigError(f"SAM mask_in_chans {self.mask_in_chans} must be a multiple of 4.")
        wrong = [i for i in self.global_attn_indexes if not 0 <= i < self.depth]
        if wrong:
            raise ConfigError(
                f"SAM global_attn_indexes {wrong} name no block: there are {self.depth}, "
                f"numbered from 0 to {self.depth - 1}."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches of the square input."""
        side = self.image_size // self.patch_size
        return side, side


#: The three published sizes (Kirillov et al., "Segment Anything", 2023), and the one whose weights
#: are packaged (tag ``ovseg``).
SAM_ARCHITECTURES: dict[str, SAMArchitecture] = {
    "vit_b": SAMArchitecture(),
    "vit_l": SAMArchitecture(
        embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)
    ),
    "vit_h": SAMArchitecture(
        embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)
    ),
    "nano-sam-8": SAMArchitecture(
        embed_dim=128,
        depth=5,
        num_heads=4,
        global_attn_indexes=(2, 4),
        window_size=8,
        image_size=192,
        patch_size=8,
        out_chans=64,
        decoder_heads=2,
        decoder_mlp_dim=256,
        iou_hidden_dim=64,
    ),
}


def sam_architecture(model: str | Mapping | SAMArchitecture) -> tuple[str, SAMArchitecture]:
    """Read a SAM's sizes from a name or a mapping.

    Args:
        model: ``"vit_b"``, ``"vit_l"``, ``"vit_h"`` or ``"nano-sam-8"``; or a mapping of the fields
            of :class:`SAMArchitecture` to change, with an optional ``base`` (a name to start from,
            by default ``"vit_b"``) and an optional ``name``; or the sizes themselves.

    Returns:
        A name and the sizes.

    Raises:
        ConfigError: The name or a field is unknown, or the sizes contradict each other.
    """
    if isinstance(model, SAMArchitecture):
        return "custom", model
    if isinstance(model, Mapping):
        sizes = dict(model)
        name = sizes.pop("name", "custom")
        _, base = sam_architecture(sizes.pop("base", "vit_b"))
        known = {field.name for field in fields(SAMArchitecture)}
        unknown = sorted(set(sizes) - known)
        if unknown:
            raise ConfigError(f"Unknown SAM settings {unknown}; known are {sorted(known)}.")
        return name, replace(base, **sizes)
    if model not in SAM_ARCHITECTURES:
        raise ConfigError(
            f"Unknown SAM {model!r}; choose one of {sorted(SAM_ARCHITECTURES)} or give its sizes."
        )
    return model, SAM_ARCHITECTURES[model]


def build_sam(architecture: SAMArchitecture) -> Sam:
    """Build a SAM with random weights, whose tensors are named as in the published checkpoints."""
    a = architecture
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=a.image_size,
            patch_size=a.patch_size,
            embed_dim=a.embed_dim,
            depth=a.depth,
            num_heads=a.num_heads,
            mlp_ratio=a.mlp_ratio,
            out_chans=a.out_chans,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=a.window_size,
            global_attn_indexes=a.global_attn_indexes,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=a.out_chans,
            image_embedding_size=a.grid,
            input_image_size=(a.image_size, a.image_size),
            mask_in_chans=a.mask_in_chans,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=a.num_multimask_outputs,
            transformer=TwoWayTransformer(
                depth=a.decoder_depth,
                embedding_dim=a.out_chans,
                mlp_dim=a.decoder_mlp_dim,
                num_heads=a.decoder_heads,
            ),
            transformer_dim=a.out_chans,
            iou_head_depth=3,
            iou_head_hidden_dim=a.iou_hidden_dim,
        ),
    )
