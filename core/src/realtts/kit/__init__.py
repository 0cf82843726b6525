"""What plugins may use beside the contract: seeds, retries, voices, solver steps, configuration files, ONNX graphs.

May import `realtts.contract` and what stands below it. Plugins import contract, kit, accel, text, audio, checkpoints
and testing, and nothing else of the core.
"""
