"""codecs: list the encodings and compressors, as the program compresso does."""

from compresso.__main__ import codecs as command

__all__ = ["command"]
