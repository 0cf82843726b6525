"""Sampling on the device: no host synchronisation, no new graph when a parameter changes, one generator per row.

A token is ``argmax(p / e)`` with exponential noise ``e``, which is what `torch.multinomial` computes for one draw; that
function itself synchronises and cannot be captured.
"""

from realtts.accel.sampling.noise import GeneratorNoise, HashedNoise, NoiseSource, PlacedGenerators, RecordedNoise
from realtts.accel.sampling.params import SamplingParams, SamplingRecipe
from realtts.accel.sampling.sampler import Sampler

__all__ = [
    "GeneratorNoise",
    "HashedNoise",
    "NoiseSource",
    "PlacedGenerators",
    "RecordedNoise",
    "Sampler",
    "SamplingParams",
    "SamplingRecipe",
]
