"""The control API and the socket it is served on."""
