"""The generic optimizer for any text-to-speech model on torch: a thin face over the modules of `realtts.accel`.

It wraps and never patches: models come back in wrappers, and every step that cannot be taken here is in
`AdvancedTTSOptimizer.get_stats` with its reason and remedy.
"""

from realtts.accel.optimizer.config import OptimizationConfig
from realtts.accel.optimizer.core import AdvancedTTSOptimizer
from realtts.accel.optimizer.wrapper import OptimizedTTSWrapper

__all__ = ["AdvancedTTSOptimizer", "OptimizationConfig", "OptimizedTTSWrapper"]
