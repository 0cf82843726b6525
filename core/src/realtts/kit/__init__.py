"""What plugins use beside the contract: seeds, retries, voices, solver steps, configurations, graphs, English words.

May import `realtts.contract` and what stands below it. Plugins import contract, kit, accel, text, audio, checkpoints
and testing, and nothing else of the core.
"""
