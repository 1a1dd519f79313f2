"""Where functions run: the writer, the readers, the analyst, and who keeps them alive.

Reading order: messages (what is said) · channel (how it travels) · recorder (what
a dead process was doing) · child (the life of every process) · inbox, mutations,
writer · reader ·
analyst (its three roles) · worker (one process, seen by the gateway) · calls, waiting,
readers (which of them runs which query), failing (how a call ends that its process did
not) · supervisor (all of them: time limits, replacement) · push (a deployment of modules,
step by step).
"""
