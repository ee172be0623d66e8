"""Reading torch checkpoints without running what they hold."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import numpy as np
import torch
from torch import Tensor, nn

from ovseg.errors import (
    CheckpointMismatchError,
    UnsafeCheckpointError,
    WeightsError,
    WeightsNotFoundError,
)

__all__ = ["check_state_dict", "load_checkpoint", "register_with_mmengine"]


def _spelled(function: Callable, module: str, name: str) -> Callable:
    """The function under another full name, by which a pickle may ask for it."""

    def alias(*args):
        return function(*args)

    alias.__module__, alias.__name__, alias.__qualname__ = module, name, name
    return alias


def _statistic(owner: type, name: str) -> Callable:
    """What pickled log histories ask `getattr` for; anything else is refused."""
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name not in ("current", "max", "mean", "min"):
        raise pickle.UnpicklingError(f"Unsupported global: getattr({owner}, {name!r})")
    return getattr(HistoryBuffer, name)


def _harmless_globals() -> list[Callable]:
    """Classes and functions in the checkpoints that MMEngine itself writes; none of them runs code.

    They rebuild NumPy arrays and scalars and the log history of the message hub. Functions are
    listed under each name that NumPy 1 and 2, Python 2 and 3 give them, so that a checkpoint may
    come from another installation. A plain `getattr` would open a door and is replaced.
    """
    from _codecs import encode

    from mmengine.logging import HistoryBuffer

    core = np._core if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else np.core
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"] if code != "O"}
    found: list[Callable] = [HistoryBuffer, np.ndarray, np.dtype, encode, *kinds]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        found.append(_spelled(core.multiarray._reconstruct, module, "_reconstruct"))
        found.append(_spelled(core.multiarray.scalar, module, "scalar"))
    found += [_spelled(_statistic, module, "getattr") for module in ("builtins", "__builtin__")]
    return found


@contextlib.contextmanager
def _allowing(allowed: list) -> Iterator[None]:
    """`torch.serialization.safe_globals`, which torch 2.4 does not have yet."""
    serialization = torch.serialization
    if hasattr(serialization, "safe_globals"):
        with serialization.safe_globals(allowed):
            yield
        return
    before = list(serialization.get_safe_globals())  # torch hands out its own list
    serialization.add_safe_globals(allowed)
    try:
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(before)


def load_checkpoint(
    path: str | Path, map_location: str | torch.device | Callable | None = "cpu"
) -> dict:
    """Read a checkpoint written by torch or MMEngine; code in the file is refused, never run.

    Args:
        path: A local file in torch's zip or legacy format.
        map_location: As for `torch.load`.

    Returns:
        What was saved: for MMEngine a dict with ``state_dict``, ``meta``, ``message_hub``...

    Raises:
        WeightsNotFoundError: There is no such file.
        UnsafeCheckpointError: The file holds objects other than tensors, plain values, NumPy arrays
            and MMEngine's log history.
        WeightsError: The file is no checkpoint, or is cut short.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsNotFoundError(
            f"Checkpoint {path} does not exist; check the path, or leave the checkpoint out to run "
            "the model as its configuration builds it."
        )
    try:
        with _allowing(_harmless_globals()):
            return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        offender = _offender(error)
        if offender is None:
            raise _damaged(path) from error
        raise UnsafeCheckpointError(
            f"Checkpoint {path} was not loaded because it would run code: {offender}; save its "
            "tensors again with torch.save(model.state_dict(), ...) or as safetensors where "
            "you trust it."
        ) from error
    except PermissionError:
        raise
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, AssertionError) as error:
        if "deserialize object on" in str(error):
            raise  # a device that this machine does not have; torch's own message says what to do
        raise _damaged(path) from error


def _offender(error: pickle.UnpicklingError) -> str | None:
    """The part of torch's long message that names what was refused; None where nothing was."""
    text = " ".join(str(error).split())
    for start in ("Unsupported global", "Trying to", "Unsupported class", "Can only"):
        position = text.find(start)
        if position >= 0:
            return text[position:].split(" was not an allowed", 1)[0].split(". ", 1)[0].rstrip(".")
    return None


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is not a readable checkpoint (damaged, cut short, or another kind of file); "
        "fetch or write it again."
    )


def check_state_dict(
    model: nn.Module,
    state_dict: dict[str, Tensor],
    source: str,
    optional: tuple[str, ...] = (),
) -> None:
    """Make sure tensors fit a model before they are loaded into it.

    Args:
        model: The model that is to receive them.
        state_dict: Names and tensors.
        source: Where they come from, for the message.
        optional: Prefixes of names that may be missing, such as those of frozen encoders.

    Raises:
        CheckpointMismatchError: Names are missing or unknown, or shapes differ.
    """
    own = model.state_dict()
    unknown = [name for name in state_dict if name not in own]
    missing = [
        name
        for name in own
        if name not in state_dict
        and not name.endswith("num_batches_tracked")
        and not (optional and name.startswith(optional))
    ]
    reshaped = [
        name
        for name, tensor in state_dict.items()
        if name in own and tuple(own[name].shape) != tuple(tensor.shape)
    ]
    if not (unknown or missing or reshaped):
        return
    problems = []
    for what, names in (
        ("are unknown to the model", unknown),
        ("are missing", missing),
        ("have another shape", reshaped),
    ):
        if names:
            problems.append(f"{len(names)} tensors {what} (first: {names[0]})")
    raise CheckpointMismatchError(
        f"Checkpoint {source} belongs to another model than this {type(model).__name__}: "
        f"{', '.join(problems)}; use the configuration it was trained with."
    )


def register_with_mmengine() -> None:
    """Give MMEngine's checkpoint loader readers that never run code; harmless when repeated."""
    from mmengine.runner.checkpoint import CheckpointLoader

    # MMEngine logs the part of the function's name behind "load_from_".
    register = CheckpointLoader.register_scheme
    register("", load_from_local, force=True)
    register(("http://", "https://"), load_from_http, force=True)
    register(("modelzoo://", "torchvision://"), load_from_torchvision, force=True)
    register(("open-mmlab://", "openmmlab://"), load_from_openmmlab, force=True)
    register(("pavi://", r"(\S+\:)?s3://", r"(\S+\:)?petrel://"), load_from_store, force=True)


def load_from_local(filename: str, map_location=None) -> dict:
    """Reader of local files for MMEngine, see `load_checkpoint`."""
    return load_checkpoint(filename, map_location)


def load_from_http(filename: str, map_location=None, model_dir: str | None = None) -> dict:
    """Download into torch hub's folder of checkpoints unless already there, then read safely."""
    from mmengine.dist import barrier, get_rank

    folder = Path(model_dir) if model_dir else Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / os.path.basename(urlparse(filename).path)
    if get_rank() == 0 and not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        match = torch.hub.HASH_REGEX.search(path.name)  # "name-<first digits of sha256>.pth"
        try:
            torch.hub.download_url_to_file(filename, str(path), match.group(1) if match else None)
        except (URLError, OSError, RuntimeError) as error:
            raise WeightsNotFoundError(
                f"Could not download checkpoint {filename} ({error}); put the file at {path} and "
                "run again."
            ) from error
    barrier()
    return load_checkpoint(path, map_location)


def load_from_torchvision(filename: str, map_location=None) -> dict:
    """Weights of torchvision by name, see `load_from_http`."""
    from mmengine.runner.checkpoint import get_torchvision_models

    return load_from_http(get_torchvision_models()[filename.split("://", 1)[1]], map_location)


def load_from_openmmlab(filename: str, map_location=None) -> dict:
    """Weights of OpenMMLab's model zoo by name, see `load_from_http`."""
    from mmengine.runner.checkpoint import get_deprecated_model_names, get_external_models

    name = filename.split("://", 1)[1]
    return load_from_http(
        get_external_models()[get_deprecated_model_names().get(name, name)], map_location
    )


def load_from_store(filename: str, map_location=None) -> dict:
    """Private object stores: MMEngine's readers of them would run what they read."""
    raise WeightsNotFoundError(
        f"Checkpoint {filename} lies in an object store that is not supported; copy it to a local "
        "file and name that."
    )
