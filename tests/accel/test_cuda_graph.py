"""Work is captured once per key and replayed; what it changed is put back; a failure leaves nothing behind."""

import itertools
import threading

import pytest

torch = pytest.importorskip("torch")

from realtts import CaptureFailed, QuantizationUnavailable  # noqa: E402
from realtts.accel.decoder import Buckets  # noqa: E402
from realtts.accel.graphs.cuda_graph import (  # noqa: E402
    CudaGraphs,
    GraphedCallable,
    GraphedShapes,
    GraphRunner,
    powers_of_two,
    rounded_up,
)
from realtts.accel.graphs.shared import SharedMemory  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")


class Setting:
    """A device, and a backend for it that counts."""

    def __init__(self, device):
        self.device = device
        self.backend = RecordingGraphs() if device == "cpu" else CudaGraphs()

    def zeros(self, *shape, **options):
        """A static tensor."""
        return torch.zeros(shape, device=self.device, **options)

    def generator(self, seed=0):
        """A generator of the device."""
        return torch.Generator(self.device).manual_seed(seed)


@pytest.fixture(
    params=[
        pytest.param("cpu", id="recorded"),
        pytest.param(
            "cuda",
            id="cuda",
            marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")],
        ),
    ]
)
def on(request):
    """The stand-in on the CPU, and the real thing where there is a GPU."""
    return Setting(request.param)


# -- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_is_captured_once_and_replayed_on_static_buffers(on):
    """New input in the same place gives new output in the same place; Python runs for warm-up and capture only."""
    x, y, calls = on.zeros(3), on.zeros(3), []

    def work():
        calls.append(1)
        y.copy_((x * 2).exp())

    runner = GraphRunner(backend=on.backend, warm_ups=2)
    place = y.data_ptr()
    for value in (1.0, -0.5, 2.0):
        x.fill_(value)
        runner.run("key", work)
        assert torch.allclose(y, torch.full_like(y, 2 * value).exp())
    assert (runner.captures, len(calls), y.data_ptr()) == (1, 3, place)


def test_every_bucket_has_a_graph_of_its_own(on):
    """Growing through three buckets and back needs three captures, and each replay looks as far as its own."""
    values, length, total = on.zeros(300), on.zeros(1, dtype=torch.int64), on.zeros(1)
    buckets, place = Buckets(300, 128), torch.arange(300, device=on.device)

    def summed(attended):
        def work():
            seen = values[:attended] * (place[:attended] < length)
            total.copy_(seen.sum(0, keepdim=True))

        return work

    runner = GraphRunner(backend=on.backend)
    values.fill_(1)
    for n in (1, 100, 128, 129, 256, 257, 300, 2, 200):
        length.fill_(n)
        runner.run(buckets.holding(n), summed(buckets.holding(n)))
        assert total.item() == n
    assert runner.captures == 3
    assert sorted(runner.keys) == [128, 256, 300] == buckets.all()


def test_replays_keep_their_order(on):
    """Two graphs that build on each other's result, in any order of calls."""
    x = on.zeros(1)
    runner = GraphRunner([x], backend=on.backend)
    expected = 0.0
    for name in "adadddaadd":
        runner.run(name, (lambda: x.add_(1)) if name == "a" else (lambda: x.mul_(2)))
        expected = expected + 1 if name == "a" else expected * 2
        assert x.item() == expected
    assert runner.captures == 2


def test_a_changed_setting_in_the_key_captures_anew(on):
    """A number of the host is frozen into the graph, so it belongs into the key; the old graph is still there."""
    x, y = on.zeros(1), on.zeros(1)
    runner = GraphRunner(backend=on.backend)
    x.fill_(1)

    def scaled(scale):
        runner.run(("scale", scale), lambda: y.copy_(x * scale))
        return y.item()

    assert [scaled(2), scaled(3), scaled(2)] == [2, 3, 2]
    assert runner.captures == 2


def test_invalidation_captures_anew(on):
    """For what the keys do not hold."""
    x, y, scale = on.zeros(1), on.zeros(1), [2]
    runner = GraphRunner(backend=on.backend)
    x.fill_(1)

    def work():
        y.copy_(x * scale[0])

    runner.run("key", work)
    scale[0] = 5
    runner.run("key", work)
    assert y.item() == 2
    runner.invalidate()
    assert runner.keys == []
    runner.run("key", work)
    assert (y.item(), runner.captures, runner.keys) == (5, 2, ["key"])


def test_the_least_recently_used_graph_goes_first(on):
    """Beyond the limit."""
    x = on.zeros(1)
    runner = GraphRunner([x], backend=on.backend, limit=2)
    for key in ("one", "two", "one", "three"):
        runner.run(key, lambda: x.add_(1))
    assert runner.keys == ["one", "three"]
    runner.run("one", lambda: x.add_(1))
    assert runner.captures == 3
    runner.run("two", lambda: x.add_(1))
    assert (runner.captures, runner.keys, x.item()) == (4, ["one", "two"], 6)


# -- state -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm_ups", [0, 1, 3])
def test_capturing_in_the_middle_is_as_good_as_before(on, warm_ups):
    """State and generators are as they were: tokens, counters and noise go on as in an eager run."""
    count, drawn = on.zeros(1), on.zeros(8)
    generator = on.generator(5)

    def work():
        count.add_(1)
        drawn.exponential_(generator=generator)
        drawn.mul_(count)

    def run(steps, runner):
        generator.manual_seed(5)
        count.zero_()
        found = []
        for step in range(steps):
            if runner is None or step < 3:
                work()
            else:
                runner.run("key", work)
            found.append(drawn.clone())
        return torch.stack(found)

    eager = run(8, None)
    runner = GraphRunner([count], [generator], backend=on.backend, warm_ups=warm_ups)
    assert torch.equal(run(8, runner), eager)
    assert torch.equal(run(8, runner), eager)
    assert runner.captures == 1
    generator.manual_seed(6)
    runner.run("key", work)
    assert not torch.equal(drawn, eager[0] * count)


def test_a_failed_capture_leaves_nothing_half_done(on):
    """An error that names the switch, its cause, the state as before, and a runner that works when the work does."""
    x, healthy = on.zeros(1), [False]
    generator = on.generator()

    def work():
        x.add_(1)
        x.add_(torch.rand(1, generator=generator, device=on.device) * 0)
        if not healthy[0]:
            raise ZeroDivisionError("no")

    runner = GraphRunner([x], [generator], backend=on.backend, warm_ups=0)
    before = generator.get_state()
    with pytest.raises(
        CaptureFailed, match=r"ZeroDivisionError: no.*cuda_graphs=False \(REALTTS_CUDA_GRAPHS=false\)"
    ) as e:
        runner.run("key", work)
    assert isinstance(e.value.__cause__, ZeroDivisionError)
    assert (x.item(), runner.captures, runner.keys) == (0, 0, [])
    assert torch.equal(generator.get_state(), before)
    healthy[0] = True
    runner.run("key", work)
    assert (x.item(), runner.captures) == (1, 1)


def test_a_value_for_the_host_cannot_be_captured(on):
    """The commonest mistake; what was captured before it goes on working."""
    x = on.zeros(1)
    runner = GraphRunner([x], backend=on.backend)
    runner.run("good", lambda: x.add_(1))
    with pytest.raises(CaptureFailed, match="cuda_graphs=False"):
        runner.run("bad", lambda: x.add_(x.item()))
    runner.run("good", lambda: x.add_(1))
    assert (x.item(), runner.keys) == (2, ["good"])


def test_an_error_of_ours_comes_through_as_it_is(on):
    """It says more than a failed capture would."""

    def work():
        raise QuantizationUnavailable("no kernel", who="test", fix="none")

    with pytest.raises(QuantizationUnavailable):
        GraphRunner(backend=on.backend).run("key", work)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_gpu_the_default_backend_says_so():
    """No assertion of torch's."""
    x = torch.zeros(1)
    with pytest.raises(CaptureFailed, match="cuda_graphs=False"):
        GraphRunner([x]).run("key", lambda: x.add_(1))
    assert x.item() == 0


# -- threads ---------------------------------------------------------------------------------------------------------


def test_a_second_thread_waits_with_its_capture(on):
    """One capture at a time in the process, whosever runner it is; a replay does not wait."""
    log, inside, arrived = [], threading.Event(), threading.Event()
    errors = []

    class Watched:
        def __init__(self, name):
            self.name = name

        def warm_up(self, work):
            work()

        def capture(self, work, generators):
            log.append(f"{self.name} begins")
            replay = on.backend.capture(work, generators)
            if self.name == "first":
                inside.set()
                arrived.wait(10)
                other.run("ready", lambda: y.add_(1))
            log.append(f"{self.name} ends")
            return replay

    x, y, z = on.zeros(1), on.zeros(1), on.zeros(1)
    other = GraphRunner([y], backend=on.backend)
    other.run("ready", lambda: y.add_(1))

    def second():
        try:
            inside.wait(10)
            arrived.set()
            GraphRunner([z], backend=Watched("second")).run("key", lambda: z.add_(1))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    GraphRunner([x], backend=Watched("first")).run("key", lambda: x.add_(1))
    thread.join()
    assert errors == []
    assert log == ["first begins", "first ends", "second begins", "second ends"]
    assert [x.item(), y.item(), z.item()] == [1, 2, 1]


# -- a function of tensors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tensor", "tuple", "list", "dict"])
def test_a_function_gives_what_it_gives_without_a_graph(on, kind):
    """For new inputs, whatever it returns; the inputs are copied and not kept."""

    def function(x, scale):
        y, z = (x * scale).sin(), x + scale
        return {"tensor": y, "tuple": (y, z), "list": [y, z], "dict": {"y": y, "z": z}}[kind]

    def leaves(value):
        return list(value.values()) if isinstance(value, dict) else [value] if kind == "tensor" else list(value)

    graphed = GraphedCallable(function, {"x": on.zeros(4, 3), "scale": on.zeros(1)}, backend=on.backend)
    for number in range(4):
        x = torch.linspace(0, number, 12, device=on.device).view(4, 3)
        scale = torch.full((1,), 0.5 + number, device=on.device)
        given = x.clone()
        found = graphed(scale=scale, x=x)
        for one, expected in zip(leaves(found), leaves(function(x, scale)), strict=True):
            assert torch.equal(one, expected)
        assert torch.equal(x, given)


def test_a_result_is_valid_until_the_next_call(on):
    """It is the static buffer itself."""
    graphed = GraphedCallable(lambda x: x + 1, {"x": on.zeros(2)}, backend=on.backend)
    first = graphed(x=on.zeros(2))
    kept = first.clone()
    second = graphed(x=torch.ones(2, device=on.device))
    assert first.data_ptr() == second.data_ptr()
    assert kept.tolist() == [1, 1]
    assert first.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": torch.zeros(3)}, r"'x' is \(\(3,\), torch.float32\), captured was \(\(2,\)"),
        ({"x": torch.zeros(2, dtype=torch.float64)}, r"'x' is \(\(2,\), torch.float64\)"),
        ({}, "'x' is missing"),
        ({"x": torch.zeros(2), "y": torch.zeros(1)}, r"'y' is .*captured was nothing"),
    ],
    ids=["shape", "type", "missing", "unknown"],
)
def test_inputs_unlike_the_example_are_refused(on, inputs, message):
    """By name, with the way out; the graph goes on working."""
    graphed = GraphedCallable(lambda x: x + 1, {"x": on.zeros(2)}, backend=on.backend)
    with pytest.raises(CaptureFailed, match=message) as caught:
        graphed(**inputs)
    assert "pad to the captured shape" in caught.value.fix
    assert "REALTTS_CUDA_GRAPHS" in caught.value.fix
    assert graphed(x=on.zeros(2)).tolist() == [1, 1]


def test_reset_captures_anew(on):
    """For example after the weights moved."""
    weights = {"w": torch.ones(2, device=on.device)}
    graphed = GraphedCallable(lambda x: x * weights["w"], {"x": on.zeros(2)}, backend=on.backend)
    x = torch.ones(2, device=on.device)
    assert graphed(x=x).tolist() == [1, 1]
    weights["w"] = torch.full((2,), 3.0, device=on.device)
    graphed.reset()
    assert graphed(x=x).tolist() == [3, 3]


def test_a_graph_for_each_of_the_latest_shapes(on):
    """Each is captured once; the one that was not used for longest goes, and is captured anew."""
    captured = []

    def function(x, bias):
        captured.append(len(x))
        return x * 2 + bias

    graphed = GraphedShapes(function, on.backend, limit=2)
    for number, size in enumerate((2, 3, 2, 4, 2, 3, 3)):
        x = torch.arange(size, dtype=torch.float32, device=on.device) + number
        assert graphed(bias=on.zeros(1), x=x).tolist() == (2 * x).tolist()
    assert [size for size, _ in itertools.groupby(captured)] == [2, 3, 4, 3]


@pytest.mark.parametrize(("smallest", "per_octave", "step"), [(32, 4, 1), (128, 4, 1), (64, 8, 64), (1, 1, 1)])
def test_sizes_are_rounded_up_to_few(smallest, per_octave, step):
    """Never down, never by more than a share of the size or a step, and what is a result stays."""
    results = set()
    for size in range(3000):
        found = rounded_up(size, smallest=smallest, per_octave=per_octave, step=step)
        assert found >= max(size, smallest)
        assert found - size < max(step, size / per_octave) or found == smallest
        assert rounded_up(found, smallest=smallest, per_octave=per_octave, step=step) == found
        results.add(found)
    assert max(sum(low < found <= 2 * low for found in results) for low in sorted(results)) <= per_octave


@pytest.mark.parametrize("most", [1, 8, 32])
def test_sizes_are_cut_into_few(most):
    """One behind the other, without a rest, longest first, all powers of two."""
    for size in range(200):
        pieces = list(powers_of_two(size, most=most))
        assert [begin for begin, _ in pieces] == [sum(n for _, n in pieces[:at]) for at in range(len(pieces))]
        sizes = [n for _, n in pieces]
        assert sum(sizes) == size
        assert sizes == sorted(sizes, reverse=True)
        assert all(n.bit_count() == 1 and n <= most for n in sizes)
        assert len(sizes) == size // most + (size % most).bit_count()


def test_sealed_shapes_are_computed_as_they_are(on):
    """What was captured is replayed, and nothing is captured any more."""
    graphed = GraphedShapes(lambda x: x * 2 + 1, on.backend)
    sizes = (2, 3)
    for size in sizes:
        graphed(x=on.zeros(size))
    graphed.seal()
    graphs = set(graphed._graphs)
    for size in (1, 2, 3, 4, 2, 5):
        x = torch.arange(size, dtype=torch.float32, device=on.device)
        assert graphed(x=x).tolist() == (2 * x + 1).tolist()
    assert set(graphed._graphs) == graphs
    assert len(graphs) == 2


@pytest.mark.parametrize("shapes", [[(8, 4), (2, 4)], [(3,), (3,)], [(16,), (4, 4), (2, 2)], [(5, 2), (1, 1)]], ids=str)
def test_shared_memory_is_that_of_the_largest(on, shapes):
    """The first ones begin where it begins, by name and type; a larger one has its own, and the others keep theirs."""
    memory = SharedMemory(torch.device(on.device))
    taken = [memory.take("x", shape) for shape in shapes]
    assert [tuple(tensor.shape) for tensor in taken] == shapes
    assert len({tensor.data_ptr() for tensor in taken}) == 1
    others = memory.take("y", shapes[0]), memory.take("x", shapes[0], torch.int64), memory.take("x", (1000,))
    assert len({tensor.data_ptr() for tensor in (*others, taken[0])}) == 4
    taken[0].fill_(3)
    assert others[2].sum() == 0
    assert (taken[-1] == 3).all()
