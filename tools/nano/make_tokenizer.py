"""Learn the nano text tower's byte-pair merges, in the file format of CLIP's own tokenizer.

CLIP's 49,408 tokens would make the embedding table several times larger than the rest of a nano
model. The merges are learned from scene captions, prompt templates and the ImageNet class names, so
those words cost few tokens; any other text falls back to shorter pieces, as in CLIP.

    python tools/nano/make_tokenizer.py ovseg/assets/nano/nano_bpe.txt.gz
"""

from __future__ import annotations

import argparse
import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import open_clip
import regex
from open_clip.tokenizer import bytes_to_unicode

from ovseg.datasets.scenes.caption import caption
from ovseg.datasets.scenes.classes import CLASSES, COLORS, PATTERNS, plural
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS

_WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")


def corpus(num_scenes: int) -> Counter:
    """Word counts of everything the nano models may be asked to read."""
    counts: Counter = Counter()
    for seed in range(num_scenes):
        scene = render((SPLITS["tokenizer"], seed), 32)
        counts.update(_WORDS.findall(caption(scene, seed).lower()))
    for template in open_clip.OPENAI_IMAGENET_TEMPLATES:
        for word in _WORDS.findall(template("").lower()):
            counts[word] += num_scenes // 100
    for name in (*CLASSES, *map(plural, CLASSES), *COLORS, *PATTERNS):
        for word in _WORDS.findall(name):
            counts[word] += num_scenes
    for name in open_clip.IMAGENET_CLASSNAMES:
        counts.update(_WORDS.findall(name.lower()))
    return counts


def learn_merges(counts: Counter, num_merges: int) -> list[tuple[str, str]]:
    """Plain byte-pair encoding: join the most frequent neighbours again and again."""
    letters = bytes_to_unicode()
    words = {}
    for word, count in counts.items():
        symbols = [letters[byte] for byte in word.encode("utf-8")]
        symbols[-1] += "</w>"
        words[tuple(symbols)] = words.get(tuple(symbols), 0) + count
    merges = []
    while len(merges) < num_merges:
        pairs: Counter = Counter()
        for symbols, count in words.items():
            for pair in pairwise(symbols):
                pairs[pair] += count
        if not pairs:
            break
        # Ties are broken by the pair itself: the same corpus always gives the same file.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = {_join(symbols, best): count for symbols, count in words.items()}
    return merges


def _join(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined, i = [], 0
    while i < len(symbols):
        if symbols[i : i + 2] == pair:
            joined.append(pair[0] + pair[1])
            i += 2
        else:
            joined.append(symbols[i])
            i += 1
    return tuple(joined)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--merges", type=int, default=1534)
    parser.add_argument("--scenes", type=int, default=2000)
    args = parser.parse_args(argv)
    merges = learn_merges(corpus(args.scenes), args.merges)
    lines = ["#version: ovseg nano"] + [" ".join(pair) for pair in merges]
    # mtime=0: the same merges always give the same bytes. No newline at the end: the reader
    # would take it for one more merge.
    args.output.write_bytes(gzip.compress("\n".join(lines).encode("utf-8"), mtime=0))
    print(f"{len(merges)} merges in {args.output}; vocabulary of {512 + len(merges) + 2} tokens")


if __name__ == "__main__":
    main()
