"""Configuration: what a fleet is, read from YAML or written in Python.

Import from the submodules: `location` is cheap to import, `models` and `loader` are not.
"""
