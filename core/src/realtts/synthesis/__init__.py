"""From a caller's text to audio: the plan, its rows, the session that speaks them, and the pipeline behind it.

May import ladder and what stands below it.
"""
