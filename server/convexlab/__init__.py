"""convexlab."""
