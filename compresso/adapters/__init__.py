"""Interfaces of other projects to the codecs, one per file."""
