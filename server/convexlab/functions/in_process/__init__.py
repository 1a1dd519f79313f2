"""A deployment inside one process: its store, its code, its clock and its chance.

The runtime of functions without the processes around it, for `convexlab.testing`:
each call is run to its end before the next, on a store in memory, and time is what
the store says. What a deployment does by itself (due functions, crons) happens when
the clock is turned.

Reading order: store (and what time it is) · outcomes (what a call said) · past · calls
(queries and mutations) · http, actions · embedding, clock (what a deployment does by
itself) · pushes · deployment (all of it).
"""
