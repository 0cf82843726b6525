"""Speaker conditioning on disk."""
