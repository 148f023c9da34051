"""Volumes of any size, converted part by part to Zarr v3 with our codec (docs/large-volumes.md)."""

from compresso.convert.plan import Plan, Wanted, begin, make
from compresso.convert.target import Codec
from compresso.convert.work import Done, convert, work

__all__ = ["Codec", "Done", "Plan", "Wanted", "begin", "convert", "make", "work"]
