"""The ladder of one provider: its rungs from fastest to plainest, and the record of those that were given up.

May import contract, kit, registry, machine, accel, checkpoints and voices.
"""
