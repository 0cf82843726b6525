"""Isolated environments as the parent process sees them: each provider runs in a worker process of its own.

`place` is what `RealProvider` finds, `environments` lists what was installed, `remote_ladder` and `remote_rung` stand
for the ladder in the worker, `supervisor` starts and ends the worker, `client` talks to it, `watchdog` limits it,
`exits` explains how it ended, and `install` makes environments. docs/explanation/isolation.md shows how they fit.
May import wire and what stands below it, and nothing of worker.
"""
