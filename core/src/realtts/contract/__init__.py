"""The contract between the core and its plugins: hooks, spec, options, requests, chunks, context, events.

May import `realtts.errors`, `realtts.lazy`, `realtts.settings`, `realtts.folders` and `realtts.resample` only.
"""
