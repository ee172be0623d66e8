"""The nano SAM in training: the package's own class, decoding prompts on many pictures at once."""

from __future__ import annotations

import warnings

import torch
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.image_encoder import Block, add_decomposed_rel_pos

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.sam import SAM
from ovseg.encoders.sam_attention import GlobalAttention
from ovseg.encoders.sam_build import SAMArchitecture


class NanoSAM:
    """A SAM of the package with random weights, all of them trainable.

    Args:
        architecture: a name or sizes, see `ovseg.encoders.sam_build`.
        device: where it lives.
        amp: bfloat16 autocast of the image encoder; decoder and losses stay in float32.
    """

    def __init__(
        self, architecture: str | SAMArchitecture, device: torch.device, amp: bool
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RandomWeightsWarning)
            self.encoder = SAM(architecture, pretrained=None, frozen=False).to(device)
        self.sam = self.encoder.sam
        _look_at_own_place(self.sam.mask_decoder.transformer)
        self.device, self.amp = device, amp
        self._mean = torch.tensor(self.encoder.mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(self.encoder.std, device=device).view(3, 1, 1)

    @property
    def mask_side(self) -> int:
        """Side of the masks that prompts may hold and that come out."""
        return self.sam.prompt_encoder.mask_input_size[0]

    def encode(
        self, images: torch.Tensor, valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed pictures.

        Args:
            images: (B, 3, S, S) uint8 RGB of the size of SAM's input.
            valid: (B, 2) height and width without padding.

        Returns:
            (B, C, h, w) float32, and the attention (B, heads, N, N) of the last block.
        """
        encoder = self.sam.image_encoder
        x = (images.to(self.device).float() / 255 - self._mean) / self._std
        places = torch.arange(x.shape[-1], device=self.device)
        inside = places < valid.to(self.device)[..., None]
        x = x * (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
            x = encoder.patch_embed(x) + encoder.pos_embed
            *blocks, last = encoder.blocks
            for block in blocks:
                x = block(x)
            # The last block's weights are looked at as well: they are made once, for both.
            weights, values = _attention_of(last, x)
            mixed = (weights @ values).transpose(1, 2).flatten(2)
            x = x + last.attn.proj(mixed).view_as(x)
            x = x + last.mlp(last.norm2(x))
            return encoder.neck(x.permute(0, 3, 1, 2)).float(), weights

    def decode(
        self,
        embedding: torch.Tensor,
        points: tuple[torch.Tensor, torch.Tensor] | None = None,
        boxes: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer prompts, each with the embedding of its own picture.

        The decoder's own method repeats one embedding for all prompts; this goes through the same
        layers with as many embeddings as prompts.

        Args:
            embedding: (N, C, h, w).
            points: (N, K, 2) and (N, K), or None.
            boxes: (N, 4), or None.
            masks: (N, 1, 4h, 4w), or None.

        Returns:
            Logits (N, 1 + M, 4h, 4w) and predicted quality (N, 1 + M): first the single mask,
            then the several masks of an ambiguous prompt.
        """
        decoder = self.sam.mask_decoder
        sparse, dense = self.sam.prompt_encoder(points, boxes, masks)
        tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([tokens.expand(len(sparse), -1, -1), sparse], 1)
        positions = self.sam.prompt_encoder.get_dense_pe().expand(len(embedding), -1, -1, -1)
        tokens, pixels = decoder.transformer(embedding + dense, positions, tokens)
        pixels = decoder.output_upscaling(pixels.transpose(1, 2).reshape(embedding.shape))
        heads = decoder.output_hypernetworks_mlps
        kernels = torch.stack([head(tokens[:, 1 + i]) for i, head in enumerate(heads)], 1)
        logits = (kernels @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])
        return logits, decoder.iou_prediction_head(tokens[:, 0])


def _attention_of(block: Block, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights (B, heads, N, N) of a global block for tokens (B, h, w, D), and its values."""
    attention, layer = GlobalAttention.of_block(block, tokens), block.attn
    # All rows at once, so positions are added as the public class does, which is faster here.
    weights = (attention.q * attention.scale) @ attention.k.mT
    if layer.use_rel_pos:
        q, positions = attention.q.flatten(0, 1), (layer.rel_pos_h, layer.rel_pos_w)
        placed = add_decomposed_rel_pos(
            weights.flatten(0, 1), q, *positions, attention.grid, attention.grid
        )
        weights = placed.view_as(weights)
    return weights.softmax(-1), attention.v


@torch.no_grad()
def _look_at_own_place(transformer: TwoWayTransformer, gain: float = 2.0) -> None:
    """Let queries and keys between prompts and picture begin alike.

    Both hold the encoding of their place, so a prompt's token attends to where the prompt is, and
    the picture there to that token, from the first step on. With unlike random projections this
    is what training has to find out first.

    Args:
        transformer: of the mask decoder.
        gain: on queries and keys, so that attention has a peak.
    """
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        attention.k_proj.weight *= gain
        attention.q_proj.weight.copy_(attention.k_proj.weight)
