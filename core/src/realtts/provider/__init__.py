"""`RealProvider`: the face, the thread that owns the model, the queue in front of it, streams and the status.

May import synthesis and what stands below it; it imports no isolation (see `realtts.ladder.protocols`).
"""
