"""Memories: the stream buffer and the ROM."""
