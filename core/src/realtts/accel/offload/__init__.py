"""Weights that lie in host memory and move to the device when they are needed."""
