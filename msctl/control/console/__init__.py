"""The console: renders in the daemon what a command shows, so that the command itself is small."""
