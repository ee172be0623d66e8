"""The nano CLIP: open_clip's own towers, and the paths through them that training looks at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import open_clip
import torch
from clip_loss import unit
from open_clip.tokenizer import SimpleTokenizer
from torch.nn import functional as F

from ovseg.encoders.last_block import LastBlock

ASSETS = Path(__file__).resolve().parents[2] / "ovseg" / "assets" / "nano"
#: How many texts go through the text tower at a time.
TOGETHER = 64
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


class NanoCLIP:
    """Towers and tokenizer of one of the JSON files in ``ovseg/assets/nano``, with random weights.

    Args:
        name: name of the JSON file, without its suffix.
        device: where the towers live.
        amp: bfloat16 autocast; a third faster on CPUs that have it.
    """

    def __init__(self, name: str, device: torch.device, amp: bool) -> None:
        config = json.loads((ASSETS / f"{name}.json").read_text(encoding="utf-8"))
        bpe = config["text_cfg"].pop("bpe_file")
        self.tokenizer = SimpleTokenizer(str(ASSETS / bpe), context_length=77)
        self.clip = open_clip.CLIP(**config, output_dict=False).to(device)
        self.device, self.amp = device, amp

    def autocast(self) -> AbstractContextManager:
        """The precision that both towers run in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp)

    def encode_text(self, texts: list[str]) -> torch.Tensor:
        """The text tower on the tokens there are, instead of on all 77 places: (n, E) unit rows.

        Texts of about the same length go together, so that short ones are not filled up.
        """
        tokens = self.tokenizer(texts).to(self.device)
        order = tokens.argmax(1).argsort()
        rows = torch.cat([self._encode_tokens(tokens[part]) for part in order.split(TOGETHER)])
        return unit(rows[order.argsort()] @ self.clip.text_projection)

    def _encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """The last token (n, D) of texts, behind the tower's final norm."""
        ends, clip = tokens.argmax(1), self.clip
        length = int(ends.max()) + 1
        tokens = tokens[:, :length]
        x = clip.token_embedding(tokens) + clip.positional_embedding[:length]
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        return clip.ln_final(x[torch.arange(len(x)), ends])

    def encode_image(
        self, images: torch.Tensor, readings: Sequence[str]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The image tower, and ways to read the patches of its last block.

        All but ``plain`` leave out the block's residual and MLP. All rows are of unit length, and
        go through the tower's own norm and projection.

        Args:
            images: (B, 3, H, W) uint8 RGB.
            readings: ``plain``: patch tokens as they are; ``value``: each patch its own value
                (MaskCLIP); ``q``, ``k`` or ``v``: values averaged over the patches that are alike
                by their queries, keys or values (self-correlation).

        Returns:
            Class token (B, E), and for each reading its patches (B, N, E).
        """
        visual = self.clip.visual
        x = (images.to(self.device).float() / 255 - self._column(MEAN)) / self._column(STD)
        x = visual.conv1(x).flatten(2).transpose(1, 2)
        cls = visual.class_embedding.expand(len(x), 1, -1)
        x = visual.ln_pre(torch.cat([cls, x], 1) + visual.positional_embedding)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        block = LastBlock(last)  # the package's own pieces of it
        q, k, v = block.qkv(block.norm1(x))
        patches = {}
        for reading in readings:
            if reading == "plain":
                tokens = block.plain(x)[:, 1:]
            else:  # without the block's residual and MLP
                alike = {"q": q, "k": k, "v": v}.get(reading)
                mixed = v if alike is None else F.scaled_dot_product_attention(alike, alike, v)
                tokens = block.merge(mixed[:, :, 1:])
            patches[reading] = self._project(tokens)
        # Behind the last block nobody asks for patches (but `plain`), which spares most of it.
        own = block.residual_attn(x[:, :1], F.scaled_dot_product_attention(q[:, :, :1], k, v))
        return self._project(block.residual_mlp(own))[:, 0], patches

    def _project(self, tokens: torch.Tensor) -> torch.Tensor:
        return unit(self.clip.visual.ln_post(tokens) @ self.clip.visual.proj)

    def _column(self, values: tuple[float, ...]) -> torch.Tensor:
        return torch.tensor(values, device=self.device).view(3, 1, 1)
