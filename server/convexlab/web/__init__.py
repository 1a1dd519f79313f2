"""How it is reached.

Read `server.py` (the door: which request goes where), then `api.py` (functions called
once) and `socket.py` (sessions).
"""
