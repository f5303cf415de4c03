"""The compiled kernels, all of them; importing it fails where numba is missing or too old."""

from workbench.models.tree_kernel.cpu import few, finish, many, prepare, room_for_few, room_for_many, vote
from workbench.models.tree_kernel.steps_cpu import stepped

__all__ = ["few", "finish", "many", "prepare", "room_for_few", "room_for_many", "stepped", "vote"]
