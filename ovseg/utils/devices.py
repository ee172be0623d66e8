"""Which devices this machine has."""

from __future__ import annotations

import torch

from ovseg.errors import ConfigError

__all__ = ["check_device", "list_devices"]


def list_devices() -> list[str]:
    """Names of the devices that a model can be moved to."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def check_device(device: str | torch.device) -> None:
    """Make sure that a model can be moved to a device.

    Raises:
        ConfigError: There is no such device here; those there are are named.
    """
    try:
        torch.empty(1, device=device)
    # torch has no error of its own for it: it depends on the build, the driver and the name.
    except (RuntimeError, AssertionError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0].split(". ")[0].rstrip(".")
        raise ConfigError(
            f"Device {str(device)!r} cannot be used ({reason}); take one of those of this machine: "
            f"{', '.join(list_devices())}."
        ) from error
