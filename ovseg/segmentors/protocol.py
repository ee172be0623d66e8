"""The numbers of an evaluation protocol, apart from any method.

The "same" benchmark differs between papers by the size images are brought to, the windows, the
scale and the thresholds. A protocol names one such set; any method can run under any of them, and
every record says which it was.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ovseg.dense import SlidingWindows, WholeImage
from ovseg.errors import ConfigError
from ovseg.segmentors.preprocessor import INTERPOLATIONS


@dataclass(frozen=True)
class Protocol:
    """Settings of one protocol.

    Attributes:
        name: what records call it.
        short_side: pixels the shorter side of an image is brought to; None leaves images alone.
        long_side: greatest length of the longer side, which wins; None sets no limit.
        interpolation: how images are resized: "bilinear" as mmcv does it, "bicubic" as torchvision
            and "bilinear_antialias" as detectron2 does it (both antialiased by Pillow).
        square: images with a ground truth are cut to the square in their middle and scored there,
            at the protocol's size; the ground truth is resized and cut alike.
        crop: side of the sliding windows in pixels; None reads the image whole.
        stride: pixels from one window to the next.
        logit_scale: factor on cosines before the softmax over queries; None takes the tower's own.
        prob_threshold: pixels whose best class is less probable become background.
        area_threshold: classes with no more than this share of the foreground are struck out.
        softmax: over queries at the ``"pixels"``, after patches are enlarged and windows averaged,
            or at the ``"patches"``, before that.
        foreground_threshold: patches whose best class is less probable, and which show no thing,
            become background; needs ``softmax="patches"`` and a model with a ``foreground``.
    """

    name: str = "custom"
    short_side: int | None = None
    long_side: int | None = None
    interpolation: str = "bilinear"
    square: bool = False
    crop: int | None = None
    stride: int | None = None
    logit_scale: float | None = None
    prob_threshold: float = 0.0
    area_threshold: float = 0.0
    softmax: str = "pixels"
    foreground_threshold: float = 0.0

    def __post_init__(self) -> None:
        for key in ("short_side", "long_side", "crop", "stride", "logit_scale"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                raise ConfigError(f"protocol {self.name}: {key} must be positive, got {value}")
        if (self.crop is None) != (self.stride is None) or (self.crop or 0) < (self.stride or 0):
            raise ConfigError(
                f"protocol {self.name}: crop and stride belong together and stride is at most "
                f"crop, got crop {self.crop}, stride {self.stride}"
            )
        if self.softmax not in ("pixels", "patches"):
            raise ConfigError(
                f"protocol {self.name}: softmax is at the 'pixels' or the 'patches', not "
                f"{self.softmax!r}"
            )
        if self.foreground_threshold > 0 and self.softmax != "patches":
            raise ConfigError(f"protocol {self.name}: foreground_threshold needs softmax='patches'")
        if self.interpolation not in INTERPOLATIONS:
            raise ConfigError(
                f"protocol {self.name}: interpolation must be one of {', '.join(INTERPOLATIONS)}, "
                f"got {self.interpolation!r}"
            )
        if self.square and self.short_side is None:
            raise ConfigError(f"protocol {self.name}: square needs a short_side, its length")
        for key in ("prob_threshold", "area_threshold", "foreground_threshold"):
            if not 0 <= getattr(self, key) < 1:
                raise ConfigError(f"protocol {self.name}: {key} must lie in [0, 1)")

    @classmethod
    def load(cls, spec: Protocol | dict | None) -> Protocol:
        """A protocol from a config's dict.

        Raises:
            ConfigError: for unknown keys or impossible values.
        """
        if isinstance(spec, Protocol):
            return spec
        unknown = sorted(set(spec or {}) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ConfigError(f"a protocol has no {', '.join(unknown)}; it has {known}")
        return cls(**(spec or {}))

    @property
    def cut(self) -> SlidingWindows | WholeImage:
        """Step 1 as this protocol does it."""
        return WholeImage() if self.crop is None else SlidingWindows(self.crop, self.stride)

    @property
    def needs_background(self) -> bool:
        """Whether a threshold gives pixels to the background."""
        return max(self.prob_threshold, self.area_threshold, self.foreground_threshold) > 0

    def as_dict(self) -> dict:
        """For records."""
        return asdict(self)
