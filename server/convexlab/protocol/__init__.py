"""Reading order is written when the package is."""
