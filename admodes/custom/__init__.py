"""Operations of a user's own: a derivative stated once, in one call, gives both modes and every order."""

from .operation import custom_op, register

__all__ = ["custom_op", "register"]
