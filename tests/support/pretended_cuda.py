"""A pretended CUDA device: fake tensors on ``cuda``, on a machine without one, of networks at full size.

What a capture on a GPU refuses shows here: a value asked of the device raises, and so does an operation between tensors
of two devices; tensors that are made on the host inside captured work are listed, and launches are counted.
"""

import contextlib
import importlib

import torch
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from realtts.accel.decoder import Precision, step_choice
from realtts.accel.kernels import matmul

BUILT = torch.version.cuda is not None
"""Whether torch knows CUDA: one that is built for the CPU alone refuses even fake tensors on it."""

DEVICE = "cuda:0"
HALF = Precision("bf16", torch.bfloat16, fused=True)
PLAIN = Precision("bf16", torch.bfloat16)


@contextlib.contextmanager
def pretended(patch):
    """Let tensors be fake and CUDA be there as far as this package asks; ``patch`` is pytest's monkeypatch."""
    for name in ("torch._dynamo", "torch._decomp.decompositions"):  # or they would be imported on fake tensors
        importlib.import_module(name)
    # A constant would be computed, on the real device.
    patch.setattr(FakeTensorMode, "may_turn_const", lambda self, tensor: False)
    patch.setattr(matmul.Kernel, "works", lambda self: self.device == "cuda" and self.name == "dense")
    patch.setattr(step_choice, "why_not", lambda device, dtype: None)
    patch.setattr(step_choice, "autotune", lambda question, ways, measure, device: "products")
    patch.setattr("realtts.accel.decoder.row_loop.proven_step_attention", lambda *_: None)
    patch.setattr("realtts.accel.decoder.budget.cache_room", lambda device: 2**40)
    patch.setattr(torch, "tensor", _tensor_of(torch.tensor))
    patch.setattr(torch.Tensor, "exponential_", _exponential(torch.Tensor.exponential_))
    patch.setattr(torch, "Generator", _HostGenerator)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.inference_mode():
        yield mode


def state_of(shapes, dtype=torch.float32):
    """Tensors of these shapes, inside `pretended` without values, on the host as a checkpoint's are."""
    return {name: torch.empty(shape, dtype=dtype) for name, shape in shapes.items()}


def shapes_of_module(module):
    """Shapes of the tensors of a network on the device ``meta``."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


_REAL_GENERATOR = torch.Generator


class _HostGenerator(_REAL_GENERATOR):
    """A generator of the host for any device."""

    def __new__(cls, device="cpu"):
        return _REAL_GENERATOR.__new__(_REAL_GENERATOR, "cpu")


def _tensor_of(real):
    """A tensor of the host's numbers; on the pretended device without them."""

    def tensor(data, *, dtype=None, device=None, **options):
        if device is None or torch.device(device).type == "cpu":
            return real(data, dtype=dtype, **options)
        with unset_fake_temporarily():
            made = real(data, dtype=dtype)
        return torch.empty(made.shape, dtype=made.dtype, device=device)

    return tensor


def _exponential(real):
    """Noise, which on the pretended device needs no generator of that device."""

    def exponential_(self, lambd=1, *, generator=None):
        return self.fill_(1.0) if self.device.type == "cuda" else real(self, lambd, generator=generator)

    return exponential_
