"""Errors a user can act on: each message says what is wrong and what to do about it."""

from __future__ import annotations


class OvsegError(Exception):
    """Base of every error this package raises on purpose."""


class ImageError(OvsegError, ValueError):
    """An input is not an image that can be segmented (unreadable, cut short, of a wrong shape)."""


class ImageNotFoundError(ImageError, FileNotFoundError):
    """A path given as an image leads nowhere."""


class VocabularyError(OvsegError, ValueError):
    """A list of class names cannot be used (empty, duplicated, over-long, not readable)."""


class WeightsError(OvsegError):
    """Weights cannot be used; see the subclasses for why."""


class WeightsNotFoundError(WeightsError, FileNotFoundError):
    """Weights are neither on this machine nor to be had from their source."""


class ChecksumError(WeightsError, ValueError):
    """A file of weights is not the file it should be."""


class UnsafeCheckpointError(WeightsError, ValueError):
    """A checkpoint would run code when loaded, and was therefore not loaded."""


class CheckpointMismatchError(WeightsError, ValueError):
    """A checkpoint belongs to another model: names or shapes of its tensors do not fit."""


class ConfigError(OvsegError, ValueError):
    """A configuration asks for something impossible or unknown."""


class DatasetError(OvsegError, ValueError):
    """A dataset on disk is not laid out, or not labelled, as its configuration says."""


class ResultError(OvsegError, ValueError):
    """A result is inconsistent, or a saved result cannot be read."""


class SaveError(OvsegError, OSError):
    """A result cannot be written (disk full, folder not writable, name in use)."""


class MissingDependencyError(OvsegError, ImportError):
    """An optional package is needed for what was asked and is not installed."""


class TrainingError(OvsegError, RuntimeError):
    """Training cannot go on: its loss is no number, or something frozen was changed."""


class PeerError(OvsegError, RuntimeError):
    """Another process of the same run failed, and this one stopped with it."""
