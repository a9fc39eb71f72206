"""What the report shows, computed: each file one experiment that returns plain numbers."""

__all__ = ()
