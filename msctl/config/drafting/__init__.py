"""A first configuration from what a directory has: apps, Procfile, compose, process-compose.

Every source is read into sketches (see `sketch`), `assemble` makes one fleet of them, and
`settle` asks the loader, whose verdict counts: what it refuses becomes a comment.
"""
