"""Results to plots, tables and one HTML page; no computation."""
