"""What a capture that fails leaves behind, what memory stays, and whether generators in graphs draw as they should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu.setup import Setup

__all__ = ["measure"]


def measure(setup: Setup) -> None:
    """Write down what is left; needs CUDA."""
    if setup.dry:
        setup.findings.add("faults", "skipped", why="it needs CUDA")
        return
    import torch

    torch.zeros(1, device="cuda")
    with setup.findings.measuring("faults", "workspaces after captures") as result:
        _workspaces(setup, result)
    with setup.findings.measuring("faults", "a capture that asks the host") as result:
        _failed_capture(result)
    with setup.findings.measuring("faults", "generators in graphs") as result:
        _generators(setup, result)


def _workspaces(setup: Setup, result: dict[str, Any]) -> None:
    import torch

    from realtts.accel.graphs.cuda_graph import CudaGraphs, GraphRunner
    from realtts.machine import memory

    memory.release()
    result["before"] = setup.memory()
    weight, x = torch.randn(1024, 1024, device="cuda").bfloat16(), torch.randn(2, 1024, device="cuda").bfloat16()
    runner = GraphRunner(backend=CudaGraphs("cuda:0"))

    def product() -> None:
        torch.mm(x, weight)

    with torch.inference_mode():
        for key in range(40):
            runner.run(key, product)
    result["with_40_graphs"] = setup.memory()
    runner.invalidate()
    del runner
    memory.release()
    result["after"] = setup.memory()
    torch._C._cuda_clearCublasWorkspaces()
    memory.release()
    result["after_clearing_workspaces"] = setup.memory()


def _failed_capture(result: dict[str, Any]) -> None:
    import torch

    from realtts.accel.graphs.cuda_graph import CudaGraphs, GraphRunner
    from realtts.errors import CaptureFailed

    x = torch.ones(1, device="cuda")
    runner = GraphRunner([x], backend=CudaGraphs("cuda:0"))
    before = torch.cuda.current_stream()
    try:
        runner.run("bad", lambda: x.add_(x.item()))  # type: ignore[arg-type]
        result["refused"] = False
    except CaptureFailed as error:
        result["refused"] = str(error)[:200]
    result["stream_is_restored"] = torch.cuda.current_stream() == before
    afterwards: dict[str, Callable[[], object]] = {
        "same_backend_captures_again": lambda: runner.run("good", lambda: x.add_(1)),  # type: ignore[arg-type]
        "other_backend_captures": lambda: GraphRunner([x], backend=CudaGraphs("cuda:0")).run(
            "good",
            lambda: x.add_(1),  # type: ignore[arg-type]
        ),
        "default_generator": lambda: torch.randn(4, device="cuda").sum().item(),
        "own_generator": lambda: torch.empty(4, device="cuda").exponential_(generator=torch.Generator("cuda")).sum(),
    }
    for name, run in afterwards.items():
        try:
            run()
            result[name] = True
        except Exception as error:
            result[name] = f"{type(error).__name__}: {error}"[:200]


def _generators(setup: Setup, result: dict[str, Any]) -> None:
    import torch

    from realtts.accel.graphs.cuda_graph import CudaGraphs, GraphRunner

    generators = [torch.Generator("cuda") for _ in range(8)]
    noise = torch.zeros(8, 2048, device="cuda")

    def seed() -> None:
        for number, generator in enumerate(generators):
            generator.manual_seed(number + 100)

    def draw() -> None:
        for row, generator in zip(noise, generators, strict=True):
            row.exponential_(generator=generator)

    runner = GraphRunner([], generators, backend=CudaGraphs("cuda:0"))
    seed()
    drawn = []
    for _ in range(2):
        runner.run("draw", draw)
        drawn.append(noise.clone())
    seed()
    for name, expected in zip(("equals_eager", "moves_on_as_eager"), drawn, strict=True):
        draw()
        result[name] = bool(torch.equal(expected, noise))
    result["us_per_replay"] = setup.timed(lambda: runner.run("draw", draw))
