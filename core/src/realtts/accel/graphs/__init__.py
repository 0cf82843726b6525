"""CUDA graphs: capture, replay, and the bounded store of what was captured."""
