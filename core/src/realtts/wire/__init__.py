"""The contract as messages: framing, requests, chunks, errors, specs and JSON Schemas.

Used by workers and servers. May import provider and what stands below it.
"""
