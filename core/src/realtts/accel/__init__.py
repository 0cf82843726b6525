"""The torch toolkit for plugins: small modules, each usable alone. Needs the extra ``realtts[torch]``."""
