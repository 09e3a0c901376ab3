"""The command line: parse, call one function, turn its outcome into an exit code."""
