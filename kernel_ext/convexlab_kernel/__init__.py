"""The kernel side."""
