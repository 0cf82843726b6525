"""Operations that are one kernel launch on CUDA and several elsewhere.

A launch takes two to three microseconds of a captured step, however little it does, and a step of a speech model has
hundreds of small ones. Each operation here has a plain form, written with torch, and a kernel of our own in Triton's
language; it is registered with torch, so that fake tensors, graphs and counts know it, and says how many launches it
is. May be used by every other package of `realtts.accel`, and imports none of them.

Switch: ``compile=False``.
"""

from realtts.accel.fused.registry import OPERATIONS, Operation, why_not

__all__ = ["OPERATIONS", "Operation", "why_not"]
