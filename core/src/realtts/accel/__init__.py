"""The torch toolkit for plugins: small modules, each usable alone. Needs the extra ``realtts[torch]``.

May import errors, settings, folders, contract, kit and machine.
"""
