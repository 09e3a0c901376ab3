"""Decides and never acts: no I/O, no clock and no randomness of its own (design.md, Layers)."""
