"""The data path: HTTP/1.1 in front of every service, driven by the decisions of `core.router`."""
