"""The nano CLIP: open_clip's own towers, and the paths through them that training looks at."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import open_clip
import torch
from clip_loss import unit
from open_clip.tokenizer import SimpleTokenizer
from torch.nn import functional as F

ASSETS = Path(__file__).resolve().parents[2] / "ovseg" / "assets" / "nano"
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
        """The text tower on the tokens there are, instead of on all 77 places: (n, E) unit rows."""
        tokens = self.tokenizer(texts).to(self.device)
        length = int(tokens.argmax(1).max()) + 1
        tokens, clip = tokens[:, :length], self.clip
        x = clip.token_embedding(tokens) + clip.positional_embedding[:length]
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        x = clip.ln_final(x)[torch.arange(len(texts)), tokens.argmax(1)]
        return unit(x @ clip.text_projection)

    def encode_image(
        self, images: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """The image tower, and MaskCLIP's reading of its last block.

        Args:
            images: (B, 3, H, W) uint8 RGB.

        Returns:
            Unit rows, all through the tower's own norm and projection: the class token (B, E);
            patches (B, N, E) as the last block's projected values alone, and as these with the
            block's residual and MLP; plain patch tokens (B, N, E).
        """
        visual = self.clip.visual
        x = (images.to(self.device).float() / 255 - self._column(MEAN)) / self._column(STD)
        x = visual.conv1(x).flatten(2).transpose(1, 2)
        cls = visual.class_embedding.expand(len(x), 1, -1)
        x = visual.ln_pre(torch.cat([cls, x], 1) + visual.positional_embedding)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        tokens = last(x)
        width = x.shape[-1]
        weight, bias = last.attn.in_proj_weight[-width:], last.attn.in_proj_bias[-width:]
        value = last.attn.out_proj(F.linear(last.ln_1(x[:, 1:]), weight, bias))
        whole = x[:, 1:] + value
        whole = whole + last.mlp(last.ln_2(whole))

        def project(t):
            return unit(visual.ln_post(t) @ visual.proj)

        tokens = project(tokens)
        return tokens[:, 0], (project(value), project(whole)), tokens[:, 1:]

    def _column(self, values: tuple[float, ...]) -> torch.Tensor:
        return torch.tensor(values, device=self.device).view(3, 1, 1)
