"""What of a model is trained, and what is frozen and has weights of its own elsewhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ovseg.errors import CheckpointMismatchError

__all__ = [
    "check_frozen",
    "frozen_fingerprints",
    "frozen_parts",
    "frozen_prefixes",
    "tensor_digest",
    "trained_state",
]


def frozen_parts(model: nn.Module) -> dict[str, nn.Module]:
    """Modules that know which weights they hold and of which nothing is trained, by their names.

    Those are the ones with a ``fingerprint``, such as every frozen encoder. Parts of them are not
    listed by themselves.
    """
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if not name or name.startswith(tuple(f"{part}." for part in found)):
            continue
        if not isinstance(getattr(module, "fingerprint", None), str):
            continue
        if not any(parameter.requires_grad for parameter in module.parameters()):
            found[name] = module
    return found


def frozen_prefixes(model: nn.Module) -> tuple[str, ...]:
    """What the names of tensors begin with that a checkpoint of this model does not hold."""
    named = tuple(f"{name}." for name in frozen_parts(model))
    return tuple(dict.fromkeys((*named, *getattr(model, "frozen_prefixes", ()))))


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model without its frozen parts."""
    prefixes = frozen_prefixes(model)  # may be empty, which no name starts with
    state = model.state_dict()
    return {name: value for name, value in state.items() if not name.startswith(prefixes)}


def tensor_digest(tensor: Tensor) -> str:
    """SHA-256 of the bytes of a tensor."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy()).hexdigest()


def frozen_fingerprints(model: nn.Module) -> dict[str, str]:
    """Which weights the frozen parts hold.

    A fingerprint that speaks of random weights does not say which; the digest of the weights
    follows it where they are there.
    """
    found = {}
    for name, module in frozen_parts(model).items():
        found[name] = module.fingerprint
        state = module.state_dict() if "random" in module.fingerprint else {}
        if state:
            digests = "".join(tensor_digest(state[key]) for key in sorted(state))
            found[name] += f"/{hashlib.sha256(digests.encode()).hexdigest()[:16]}"
    return found


def check_frozen(model: nn.Module, recorded: Mapping[str, str], source: str) -> None:
    """Make sure that what was trained meets the frozen parts it was trained on.

    Args:
        model: The model that is to be loaded.
        recorded: What `frozen_fingerprints` gave for the model that was saved.
        source: The checkpoint, for the message.

    Raises:
        CheckpointMismatchError: A frozen part is missing, or holds other weights.
    """
    own = frozen_fingerprints(model)
    for name, fingerprint in recorded.items():
        if name not in own:
            raise CheckpointMismatchError(
                f"Checkpoint {source} was trained on the frozen {name} {fingerprint}, which this "
                f"{type(model).__name__} does not have; use the configuration it was trained with."
            )
        if not _same_weights(own[name], fingerprint):
            raise CheckpointMismatchError(
                f"Checkpoint {source} was trained on the frozen {name} {fingerprint}, but this "
                f"model has {own[name]}; set `pretrained` or `weights` of {name} to those weights."
            )


def _same_weights(one: str, other: str) -> bool:
    """Whether two fingerprints are of the same weights, in whatever file and precision."""
    digests = [re.search("sha256:([0-9a-f]+)", name) for name in (one, other)]
    if all(digests):
        short, long = sorted((digest[1] for digest in digests), key=len)
        return long.startswith(short)
    one, other = (re.sub("/(bf16|fp16)$", "", name) for name in (one, other))
    # Random weights that are not there yet may turn out to be any.
    later = "random" in one and (one.startswith(f"{other}/") or other.startswith(f"{one}/"))
    return one == other or later
