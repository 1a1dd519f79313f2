"""Who is asking: `tokens.py` says it for sockets and headers alike.

`sealing.py` keeps from the disk what only functions are to read.
"""
