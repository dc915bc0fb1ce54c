"""scipy.spatial: its distances."""

from . import distance

__all__ = ["distance"]
