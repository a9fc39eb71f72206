"""The command line: arguments in, exit status out; no mathematics."""

__all__ = ()
