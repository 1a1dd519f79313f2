"""Who is asking: `tokens.py` says it for sockets and headers alike."""
