"""Isolated environments: a provider whose plugin is not installed here runs in a worker process of its own.

`environments` finds what was installed, `specs` turns a spec to JSON and back, `remote` is the ladder as the parent
sees it, `hosting` and `crashes` are the life of the worker that it stands in, `calls` is the talk with it, and `worker`
the program that runs in the environment. How they fit is told in docs/explanation/isolation.md.
"""
