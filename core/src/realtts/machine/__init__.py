"""The machine: devices, CPU features, memory, and a survey for `realtts doctor`.

May import contract, kit, text and audio.
"""
