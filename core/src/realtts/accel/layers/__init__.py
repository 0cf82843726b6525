"""Layers and tables that several models share: dense products, bidirectional recurrence, positions, mel filters."""
