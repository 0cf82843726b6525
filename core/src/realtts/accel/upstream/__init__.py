"""Upstream's packages: importing them beside each other, and filling their networks without a second copy."""
