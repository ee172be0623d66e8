"""What is trained."""

from ovseg.heads.dinoiser import DINOiserHead

__all__ = ["DINOiserHead"]
