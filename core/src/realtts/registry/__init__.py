"""What is installed: entry points, providers, extensions, and the classes that a spec names.

May import contract, kit, text and audio.
"""
