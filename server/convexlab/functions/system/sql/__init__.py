"""What notebooks follow: rows."""
