"""A watermarker that marks nothing."""

from __future__ import annotations

from typing import Any

import numpy as np


class PerthImplicitWatermarker:
    """Takes what the real one takes."""

    def __init__(self, run_name: object = None, perth_net: object = None) -> None:
        del run_name, perth_net

    def apply_watermark(self, samples: Any, sample_rate: int, **_: object) -> Any:
        """Return the samples as they are."""
        del sample_rate
        return samples

    def get_watermark(self, samples: Any, sample_rate: int, **_: object) -> Any:
        """Find no mark."""
        del samples, sample_rate
        return np.zeros(1, np.float32)
