"""A folder of text embeddings, so that words are read once by a text tower and never again."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import warnings
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

logger = logging.getLogger("ovseg")

CACHE_VARIABLE = "OVSEG_CACHE"


def default_cache_dir() -> Path:
    """Folder of cached embeddings: ``$OVSEG_CACHE/text``, else ``~/.cache/ovseg/text``."""
    root = os.environ.get(CACHE_VARIABLE)
    return (Path(root) if root else Path("~/.cache/ovseg")).expanduser() / "text"


class EmbeddingCache:
    """Embeddings on disk, one safetensors file a key, written whole or not at all.

    A cache never stops the work: an unreadable or damaged file counts as missing, and a folder
    that cannot be written to is worth a warning only. Several processes may share a folder.

    Args:
        folder: Where the files lie; made at the first ``store``.
    """

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        self.folder = Path(folder).expanduser() if folder is not None else default_cache_dir()

    def path(self, key: str) -> Path:
        """File of a key."""
        return self.folder / f"{key}.safetensors"

    def load(self, key: str, rows: int) -> Tensor | None:
        """Read the embeddings of a key.

        Args:
            key: What ``store`` was given.
            rows: How many embeddings there have to be.

        Returns:
            (rows, E) float32 on the CPU, or None if there is no such file or it is damaged.
        """
        path = self.path(key)
        try:
            tensors = safetensors.torch.load(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError) as error:
            logger.info("cached text embeddings %s cannot be read (%s); rebuilding", path, error)
            return None
        embeddings, digest = tensors.get("embeddings"), tensors.get("sha256")
        if (
            embeddings is None
            or digest is None
            or embeddings.dtype != torch.float32
            or embeddings.ndim != 2
            or len(embeddings) != rows
            or bytes(digest.flatten().tolist()) != _digest(embeddings)
        ):
            logger.info("cached text embeddings %s are damaged; rebuilding", path)
            return None
        return embeddings

    def store(self, key: str, embeddings: Tensor) -> bool:
        """Write the embeddings of a key, replacing what was there in one step.

        Args:
            key: A name that can stand in a file name.
            embeddings: (rows, E) float32 on the CPU.

        Returns:
            Whether they were written; if not, a warning said why.
        """
        embeddings = embeddings.contiguous()
        digest = torch.tensor(list(_digest(embeddings)), dtype=torch.uint8)
        content = safetensors.torch.save({"embeddings": embeddings, "sha256": digest})
        part = self.folder / f".{key}.{secrets.token_hex(4)}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(content)
                os.replace(part, self.path(key))
            except OSError:
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            warnings.warn(
                f"text embeddings could not be cached in {self.folder} ({error.strerror or error});"
                f" set {CACHE_VARIABLE} to a folder that can be written to",
                stacklevel=3,
            )
            return False
        return True


def _digest(embeddings: Tensor) -> bytes:
    return hashlib.sha256(embeddings.numpy().tobytes()).digest()
