"""Segment Anything: its image embedding, its last block's attention, and masks from prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ovseg.encoders import sources
from ovseg.encoders.base import Encoder
from ovseg.encoders.sam_attention import GlobalAttention
from ovseg.encoders.sam_build import SAMArchitecture, build_sam, sam_architecture
from ovseg.encoders.sam_prompts import (
    check_prompts,
    fit_longest_side,
    scale_coords,
    upscale_masks,
)
from ovseg.encoders.sam_size import fit_positions
from ovseg.encoders.sam_state import SAMState
from ovseg.encoders.weights import (
    apply_state_dict,
    choose_source,
    fetch,
    fingerprint,
    load_state_dict,
)
from ovseg.errors import ConfigError
from ovseg.registry import MODELS

__all__ = ["SAM", "SAMState"]


@MODELS.register_module()
class SAM(Encoder):
    """The Segment Anything Model of the installed ``segment_anything`` package.

    Images enter as SAM wants them: resized to :meth:`input_size`, so that the longest side is
    :attr:`image_size`, and normalised with :attr:`mean` and :attr:`std`. They are padded with
    zeros to the right and below here.

    ``precision`` is that of the image encoder. The prompt encoder and the mask decoder are small
    and always work in float32.

    Source: Kirillov et al., "Segment Anything", ICCV 2023. Embedding, masks and quality agree
    with ``segment_anything.SamPredictor``.

    Args:
        model: ``"vit_b"``, ``"vit_l"``, ``"vit_h"``, ``"nano-sam-8"``, or a mapping of sizes
            (:func:`ovseg.encoders.sam_build.sam_architecture`).
        pretrained: Tag of known weights (``"ovseg"`` for packaged ones); None means random ones.
        weights: Local file of weights (safetensors, or the authors' .pth); wins over
            ``pretrained``.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        frozen: Whether parameters are fixed.
        image_size: Side of the square input in pixels, a multiple of the patch size; None for
            the one that the model was made for. Weights are fitted by resizing their positions:
            a smaller input is faster, a larger one has finer masks. Published figures are at the
            model's own size.

    Raises:
        ConfigError: The model is unknown, or its sizes contradict each other.
    """

    def __init__(
        self,
        model: str | Mapping | SAMArchitecture = "vit_b",
        pretrained: str | None = "sa1b",
        weights: str | None = None,
        precision: str = "fp32",
        frozen: bool = True,
        image_size: int | None = None,
    ) -> None:
        super().__init__(precision, frozen)
        name, own = sam_architecture(model)
        self._own_size = own.image_size
        size = own.image_size if image_size is None else image_size
        self.architecture = replace(own, image_size=size)
        source = choose_source(name, pretrained, weights, sources.sam_source)
        self._name, self._source = name, source
        self.sam = build_sam(self.architecture)
        if source is None:
            self.warn_random(name)
        else:
            path = fetch(source)
            state = load_state_dict(path)
            # Old copies of the checkpoints carry these constants, which are not weights.
            state = {k: v for k, v in state.items() if k not in ("pixel_mean", "pixel_std")}
            if self.image_size != self._own_size:
                state = fit_positions(state, self.sam)
            apply_state_dict(self.sam, state, name=name, origin=path)
        self.finish()

    def finish(self) -> None:
        """As every encoder, except that prompt encoder and mask decoder stay in float32."""
        super().finish()
        self.sam.prompt_encoder.float()
        self.sam.mask_decoder.float()

    @property
    def fingerprint(self) -> str:
        """Stable name of architecture, weights and size of the input."""
        size = "" if self.image_size == self._own_size else f"@{self.image_size}"
        return fingerprint(self._name, self._source) + size

    @property
    def blocks(self) -> list[torch.nn.Module]:
        """The blocks of the image encoder, first to last."""
        return list(self.sam.image_encoder.blocks)

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return self.architecture.patch_size

    @property
    def embed_dim(self) -> int:
        """Channels of the image embedding."""
        return self.architecture.out_chans

    @property
    def image_size(self) -> int:
        """Side of the square input, in pixels."""
        return self.architecture.image_size

    def input_size(self, original_size: tuple[int, int]) -> tuple[int, int]:
        """Give the (height, width) an image of ``original_size`` must be resized to."""
        return fit_longest_side(original_size, self.image_size)

    def scale_coords(self, coords: Tensor, original_size: tuple[int, int]) -> Tensor:
        """Bring points (..., 2) or boxes (..., 4), x first, from an image into SAM's input."""
        return scale_coords(coords, original_size, self.image_size)

    def encode(self, images: Tensor) -> SAMState:
        """Encode images.

        Args:
            images: (B, 3, H, W) float, normalised, H and W at most :attr:`image_size`.

        Returns:
            The state all other methods read.

        Raises:
            ValueError: The images are larger than SAM's input.
        """
        x = self.door(images)
        size = self.image_size
        height, width = images.shape[-2:]
        if height > size or width > size:
            raise ValueError(
                f"Images of {height} x {width} pixels do not fit SAM's input of {size} x {size}; "
                "resize them so that the longest side fits."
            )
        x = F.pad(x, (0, size - width, 0, size - height))
        with self.no_grad_if_frozen():
            embedding, tokens, attention = self._run(x)
        patch = self.patch_size
        return SAMState(
            embedding=self.out(embedding),
            tokens=self.out(tokens.flatten(1, 2)),
            grid=tuple(embedding.shape[-2:]),
            input_size=(height, width),
            valid_grid=(max(1, height // patch), max(1, width // patch)),
            attention=attention,
        )

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor, GlobalAttention | None]:
        """Embedding, input of the last block, and its attention unless it has windows."""
        encoder = self.sam.image_encoder
        x = encoder.patch_embed(images) + encoder.pos_embed
        tokens, attention = x, None
        for block in encoder.blocks:
            tokens, attention = x, None
            if block.window_size:
                x = block(x)
            else:
                # The same numbers as block(x), without the (heads, N, N) attention in memory.
                attention = GlobalAttention.of_block(block, x)
                x = x + block.attn.proj(attention.own_output())
                x = x + block.mlp(block.norm2(x))
        return encoder.neck(x.permute(0, 3, 1, 2)), tokens, attention

    def forward(self, images: Tensor) -> Tensor:
        """Give the image embedding (B, C, h, w); see :meth:`encode`."""
        return self.encode(images).embedding

    def values(self, state: SAMState) -> Tensor:
        """Give the last block's own values, (B, heads, N, d) float32."""
        return self._attention(state).v.float()

    def attention_rows(
        self, state: SAMState, rows: slice | Tensor, columns: Tensor | None = None
    ) -> Tensor:
        """Give some rows of the last block's attention, relative positions included.

        Args:
            state: Of :meth:`encode`.
            rows: Tokens that look: a slice of the N tokens or (R,) int64 indices, e.g. a piece
                of ``state.valid_index``.
            columns: (C,) int64 indices of the tokens looked at to keep; None keeps all N. The
                softmax is over all N in any case, so kept columns sum to less than 1.

        Returns:
            (B, heads, R, N or C) float32.

        Raises:
            ConfigError: This SAM's last block attends in windows.
        """
        weights = self._attention(state).rows(rows)
        if columns is not None:
            weights = weights[..., columns]
        return weights.float()

    def apply_last_attention(
        self,
        state: SAMState,
        values: Tensor,
        rows: Tensor | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        """Average values by the last block's attention, a few rows at a time.

        Args:
            state: Of :meth:`encode`.
            values: (B, heads, N, c), each head averaging its own; or (B, N, C), averaged by the
                mean of the heads' attention.
            rows: (R,) int64 indices of the tokens wanted; None means all.
            chunk: Rows of attention held at a time; None bounds their memory by 128 MiB.

        Returns:
            (B, heads, R, c) or (B, R, C), in the dtype of ``values``.

        Raises:
            ConfigError: This SAM's last block attends in windows.
            ValueError: The shape of ``values`` fits neither form.
        """
        return self._attention(state).apply(values, rows, chunk)

    def prompt_masks(
        self,
        embedding: Tensor | SAMState,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask: bool = True,
        chunk: int = 16,
    ) -> tuple[Tensor, Tensor]:
        """Give masks for prompts on one image.

        Coordinates are pixels x, y of SAM's input (:meth:`scale_coords`).

        Args:
            embedding: (C, h, w) or (1, C, h, w) embedding of one image, or a state of one image.
            points: (P, K, 2) coordinates and (P, K) labels: 1 object, 0 background, -1 nothing
                (for prompts with fewer points).
            boxes: (P, 4) x1, y1, x2, y2.
            masks: (P, 1, 4h, 4w) low-resolution logits, or (1, 1, 4h, 4w) for all prompts.
            multimask: Give the several masks of an ambiguous prompt, rather than one.
            chunk: Prompts decoded at a time; about 60 MB each at 1024 pixels.

        Returns:
            Logits (P, M, 4h, 4w) and predicted quality (P, M), float32.

        Raises:
            ValueError: There is no prompt, prompts do not fit each other, or there are several
                images.
        """
        if isinstance(embedding, SAMState):
            embedding = embedding.embedding
        if embedding.ndim == 3:
            embedding = embedding.unsqueeze(0)
        if embedding.ndim != 4 or embedding.shape[0] != 1:
            raise ValueError(
                f"Prompts belong to one image, but the embedding is {tuple(embedding.shape)}; "
                "give the images' embeddings one by one."
            )
        encoder, decoder = self.sam.prompt_encoder, self.sam.mask_decoder
        count = check_prompts(points, boxes, masks, encoder.mask_input_size)
        kept = decoder.num_multimask_outputs if multimask else 1
        if count == 0:
            return (
                embedding.new_zeros((0, kept, *encoder.mask_input_size), dtype=torch.float32),
                embedding.new_zeros((0, kept), dtype=torch.float32),
            )
        if masks is not None:
            masks = masks.float().expand(count, -1, -1, -1)
        positions = encoder.get_dense_pe()
        logits, quality = [], []
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            sparse, dense = encoder(
                points=None if points is None else (points[0][part].float(), points[1][part]),
                boxes=None if boxes is None else boxes[part].float(),
                masks=None if masks is None else masks[part],
            )
            low, iou = decoder(
                image_embeddings=embedding.float(),
                image_pe=positions,
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
            logits.append(low)
            quality.append(iou)
        return torch.cat(logits), torch.cat(quality)

    def upscale(
        self, masks: Tensor, original_size: tuple[int, int], input_size: tuple[int, int]
    ) -> Tensor:
        """Bring logits of :meth:`prompt_masks` to the size of the image.

        Args:
            masks: (P, M, h, w) logits.
            original_size: (height, width) of the image.
            input_size: (height, width) at which it entered SAM; ``state.input_size``.

        Returns:
            (P, M, height, width) logits; above 0 is the object.
        """
        return upscale_masks(masks, original_size, input_size, self.image_size)

    def _attention(self, state: SAMState) -> GlobalAttention:
        if state.attention is None:
            raise ConfigError(
                "This SAM's last block attends in windows, so it has no attention over the whole "
                f"image; add block {self.architecture.depth - 1} to global_attn_indexes."
            )
        return state.attention
