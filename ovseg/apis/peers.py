"""One list of work for several processes: each takes its share, and all learn what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from ovseg.apis.launching import connected

__all__ = ["Peers"]

T = TypeVar("T")


@dataclass(frozen=True)
class Peers:
    """The processes of this run.

    Attributes:
        rank: which of them this is.
        count: how many they are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def of_this_run(cls) -> Peers:
        """As torch.distributed has connected them; one alone where it has not."""
        distributed = connected()
        if distributed is None:
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def agree(self, decide: Callable[[], T]) -> T:
        """What the first process decides; where it fails, all do."""
        if self.count == 1:
            return decide()
        from mmengine.dist import broadcast_object_list

        with self.together():
            told = [decide() if self.rank == 0 else None]
        broadcast_object_list(told)
        return told[0]

    def share(self, work: Sequence[T]) -> Sequence[T]:
        """This process's part."""
        return work[self.rank :: self.count]

    def together(self) -> AbstractContextManager[None]:
        """Where a block fails in one process, all raise behind it; see `ovseg.utils.together`."""
        if self.count == 1:
            return nullcontext()
        from ovseg.utils.together import together

        return together()

    def collect(self, own: Sequence[T]) -> list[T]:
        """What all processes have, in all processes."""
        if self.count == 1:
            return list(own)
        from mmengine.dist import all_gather_object

        return [one for part in all_gather_object(list(own)) for one in part]
