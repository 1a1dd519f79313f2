"""How a client stays current.

Read `backend.py` first: what is asked of the function processes, and what they tell.
Then the part that decides: `named.py` (what a message names), `followed.py` (a query of
a session), `session.py` (one connection's side of the protocol), `work.py` (what it asks
of its holder) and `transition.py` (what a client is told, as bytes). Then the part that
acts: `rounds.py` (which queries run when) and `gateway.py` (all of it together, whatever
carries the messages). Beside it, what runs by the clock: `agenda.py` (when is the next
thing due?) decides, `scheduling.py` acts.
"""
