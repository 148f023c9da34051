"""Numbers for people, by the name that they had here."""

from experiments.numbers import plainly

__all__ = ["plainly"]
