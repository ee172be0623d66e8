"""Says what is trained, and that nothing else is."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook

from ovseg.errors import TrainingError
from ovseg.registry import HOOKS
from ovseg.utils.frozen import frozen_fingerprints, tensor_digest

__all__ = ["FrozenGuardHook"]


@HOOKS.register_module()
class FrozenGuardHook(Hook):
    """Logs how many parameters are trained; a frozen one that changed ends training.

    Frozen parameters are compared whenever a checkpoint is about to be written, which then is not,
    and at the end.
    """

    priority = "HIGH"

    def before_train(self, runner: Any) -> None:
        """Count, and remember what is frozen."""
        parameters = dict(runner.bare_model.named_parameters())
        trained = sum(p.numel() for p in parameters.values() if p.requires_grad)
        frozen = sum(p.numel() for p in parameters.values() if not p.requires_grad)
        runner.logger.info(f"{_short(trained)} parameters are trained, {_short(frozen)} are frozen")
        for name, fingerprint in frozen_fingerprints(runner.bare_model).items():
            runner.logger.info(f"frozen {name}: {fingerprint}")
        self.trained = trained
        self._digests = _digests(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Compare."""
        self._compare(runner)

    def after_train(self, runner: Any) -> None:
        """Compare."""
        self._compare(runner)

    def _compare(self, runner: Any) -> None:
        """Raises `TrainingError` naming the first parameter that changed."""
        now = _digests(runner)
        for name, digest in now.items():
            # Towers that are built at first use come later and are compared from then on.
            if self._digests.setdefault(name, digest) != digest:
                raise TrainingError(
                    f"The frozen parameter {name} changed during training; no checkpoint was "
                    f"written at iteration {runner.iter + 1}. Nothing may write to frozen weights: "
                    "check what was added to the model or to the hooks."
                )


def _digests(runner: Any) -> dict[str, str]:
    parameters = runner.bare_model.named_parameters()
    return {name: tensor_digest(p) for name, p in parameters if not p.requires_grad}


def _short(count: int) -> str:
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)
