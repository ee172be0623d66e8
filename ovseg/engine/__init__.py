"""What training adds to MMEngine: whole checkpoints of what is trained, exact resuming, guards."""

from ovseg.engine.checkpoint_hook import WholeCheckpointHook
from ovseg.engine.ema_hook import TrainedEMAHook
from ovseg.engine.frozen_hook import FrozenGuardHook
from ovseg.engine.learning_rates import RateByPart
from ovseg.engine.optim_wrapper import GuardedOptimWrapper
from ovseg.engine.progress import ShortLogProcessor
from ovseg.engine.release_hook import ReleaseHook
from ovseg.engine.runner import TrainRunner
from ovseg.engine.tower_hook import SaveTowerHook
from ovseg.engine.train_loop import EndlessTrainLoop
from ovseg.engine.weight_decay import DecayByKind, DecayOfMatrices

__all__ = [
    "DecayByKind",
    "DecayOfMatrices",
    "EndlessTrainLoop",
    "FrozenGuardHook",
    "GuardedOptimWrapper",
    "RateByPart",
    "ReleaseHook",
    "SaveTowerHook",
    "ShortLogProcessor",
    "TrainRunner",
    "TrainedEMAHook",
    "WholeCheckpointHook",
]
