"""What runs inside a row loop's step: as graphs at every precision, with the model's own networks and taps."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from families import HIDDEN, VOCABULARY, build  # noqa: E402
from graph_backends import GRAPHS  # noqa: E402
from row_loops import CAP, PLAIN, STOPS, drawn, make_loop, request_of, serve, speak  # noqa: E402

from realtts import DecoderError  # noqa: E402
from realtts.accel.decoder import Admission, Taps, sync_interval  # noqa: E402
from realtts.accel.graphs.cuda_graph import CudaGraphs  # noqa: E402
from realtts.accel.sampling import SamplingParams, SamplingRecipe  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

KERNELS = {"fp32": "dense", "bf16": "dense", "int8": "int8_weight_only"}
"""Named where two decoders are compared by tokens, whichever is the fastest on this machine."""

COARSER = ("bf16", "int4")
"""Precisions that a step runs through the same graphs as the others."""


@pytest.fixture(scope="module")
def family():
    """The family with most features."""
    return build("qwen3")


def admission_of(seed, most, *, n=10, device="cpu", **params):
    """A request with a random prompt and exactly so many tokens, unless its parameters say something else."""
    prompt = torch.randn(1, n, HIDDEN, generator=torch.Generator().manual_seed(seed)).to(device)
    return Admission(prompt, SamplingParams(**{"min_new_tokens": most, **params}), seed=seed, most=most)


# -- graphs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph_backend", GRAPHS, indirect=True)
@pytest.mark.parametrize("precision", ["fp32", "int8", *(pytest.param(p, marks=pytest.mark.full) for p in COARSER)])
def test_graphs_give_what_eager_decoding_gives(family, precision, graph_backend):
    """At every precision, over the border of a bucket, two requests with other parameters in a row.

    On one device: generators of different devices draw different numbers.
    """
    on_cuda = graph_backend is CudaGraphs
    kernel, device = None if on_cuda else KERNELS.get(precision), "cuda" if on_cuda else "cpu"
    eager, graphed = (
        make_loop(family, backend=backend, precision=precision, kernel=kernel, device=device, places=1, chunk=64)
        for backend in (None, graph_backend)
    )
    for seed, params in ((1, {}), (2, {"temperature": 1.3, "top_p": 0.9})):
        request = admission_of(seed, 30, n=110, device=device, **params)
        assert drawn(graphed, request) == drawn(eager, request)


@pytest.mark.parametrize(
    "flags",
    [
        [True],
        [True, True, False, True],
        *(pytest.param(flags, marks=pytest.mark.full) for flags in ([False], [False, True], [True, False])),
    ],
    ids=str,
)
def test_steps_ahead_change_no_token(family, flags):
    """A device that computes behind the host is imitated by its lag; who waits for a first sound gets it at once."""
    loops = [make_loop(family, backend=RecordingGraphs, places=2, check_every=8, chunk=64) for _ in range(2)]
    loops[0].lag = 1
    request = admission_of(3, 30)
    found, number = [], 0
    loops[0].admit(0, request)
    while loops[0].busy:
        ahead, steps = flags[number % len(flags)], loops[0].queue.steps
        blocks = loops[0].step(ahead=ahead)
        found += [token for block in blocks for token in block.tokens]
        made = loops[0].queue.steps - steps
        if not ahead:
            assert made <= 2
            assert len(loops[0].queue) == 0, "nothing is queued that was not returned"
        elif number == 0:
            assert (made, blocks) == (8, []), "they are returned by the next call"
        number += 1
    loops[0].release(0)
    assert found == drawn(loops[1], request)


def test_a_loop_is_read_and_written_beside_others_work(family):
    """All of it on one stream, for which nobody waits who is queued on the caller's; without graphs on that."""
    loop = make_loop(family, backend=RecordingGraphs, places=1, cap=64, chunk=64)
    backend = loop._backend._counting
    for call in (
        loop.warm_up,
        lambda: loop.admit(0, admission_of(3, 8)),
        loop.step,
        lambda: loop.step(ahead=False),
        lambda: loop.redraw(0, seed=5),
    ):
        before = backend.beside_others
        call()
        assert backend.beside_others == before + 1
    joined = backend.joined
    loop.release(0)
    assert backend.joined == joined + 1, "memory may be freed now"
    assert make_loop(family, places=1, cap=64)._backend is None


def test_a_graph_is_not_replayed_under_another_structure(family):
    """What the model's own step depends on besides is part of a graph's key."""
    shift = [0]
    loop = make_loop(
        family, backend=RecordingGraphs, places=1, structure=lambda: shift[0],
        embedding=lambda tokens, _step, _state: family.embed[tokens] + shift[0],
    )  # fmt: skip
    request = admission_of(4, 12)
    before = drawn(loop, request)
    shift[0] = 1
    assert drawn(loop, request) != before
    shift[0] = 0
    assert drawn(loop, request) == before


def test_warm_up_prepares_for_the_sampling_to_come(family):
    """A narrowed vocabulary has graphs of its own; the model's state, and what is spoken then, are as without."""

    def counting(tokens, _step, state):
        state["steps"].index_add_(0, state["rows"], torch.ones(len(tokens)))
        return family.embed[tokens]

    recipe = SamplingRecipe(VOCABULARY, order=("top_k",), narrow=True)
    cold, warm = (
        make_loop(
            family, backend=RecordingGraphs, recipe=recipe, places=1, cap=64, embedding=counting,
            row_state={"steps": torch.zeros(2)},
        )
        for _ in range(2)
    )  # fmt: skip
    request = admission_of(1, 40, top_k=5)
    warm.warm_up(request.params)
    assert not warm.row_state["steps"].any()
    captured = list(warm.queue.graphs)
    assert drawn(warm, request) == drawn(cold, request)
    assert warm.queue.graphs == captured


def test_no_warm_up_while_a_row_has_a_place(family):
    """It would be drawn with; without graphs there is nothing to do."""
    loop = make_loop(family, backend=RecordingGraphs, places=1)
    loop.admit(0, request_of(0))
    with pytest.raises(DecoderError, match="rows have places"):
        loop.warm_up()
    eager = make_loop(family, places=1)
    eager.admit(0, request_of(0))
    eager.warm_up()


@pytest.mark.parametrize("backend", [None, RecordingGraphs], ids=["eager", "recorded"])
def test_a_request_goes_up_to_the_last_slot(family, backend):
    """At the cap, which is the decoder's last position."""
    short = family.decoder(rows=(1,), max_positions=64)
    family_of = type("Short", (), {"decoder": lambda **_: short, "embed": family.embed, "head": family.head,
                                   "places": None})  # fmt: skip
    request = admission_of(1, 3, n=62)
    loop = make_loop(family_of, backend=backend, places=1, cap=64)
    assert drawn(loop, request) == drawn(make_loop(family, places=1), request)


# -- ends -----------------------------------------------------------------------------------------------------------


def test_the_end(family):
    """A stop token ends a row and is not part of it; a limit ends it too, and says so."""
    loop, ends = make_loop(family, order=("temperature",)), {}
    for number in range(4):
        loop.admit(number, admission_of(number, 3 if number == 3 else 100, min_new_tokens=0))
    tokens = {number: [] for number in range(4)}
    while loop.busy:
        for block in loop.step():
            tokens[block.number] += block.tokens
            ends[block.number] = block.end
    assert not set(STOPS) & {token for drawn_ in tokens.values() for token in drawn_}
    assert "stop" in ends.values(), "no seed drew a stop token"
    for number, end in ends.items():
        most = 3 if number == 3 else 100
        assert len(tokens[number]) == most if end == "length" else len(tokens[number]) < most


@pytest.mark.parametrize("most", [1, 2, 31])
def test_min_new_tokens_and_limit_force_a_length(family, most):
    """With both the same, a row has exactly so many tokens."""
    steps, last = speak(make_loop(family, places=1), admission_of(3, most, temperature=1.5))
    assert sum(map(len, steps)) == most
    assert last.end == "length"


def test_blocks_come_while_it_decodes(family):
    """Streaming: every ``check_every`` steps; who stops reading stops the work."""
    loop = make_loop(family, places=1, check_every=4, chunk=16)
    loop.admit(0, admission_of(1, 30))
    sizes = [len(loop.step()[0].tokens) for _ in range(3)]
    assert sizes == [5, 4, 4]  # the prompt gave the first one
    assert loop.cache.used[0] < 25
    while loop.busy:
        sizes += [len(block.tokens) for block in loop.step()]
    assert sizes == [5, 4, 4, 4, 4, 4, 4, 1]


def test_looks_at_a_device_are_far_apart():
    """On the CPU they cost nothing."""
    assert [sync_interval("cpu"), sync_interval(torch.device("cuda", 1)), sync_interval("cuda", 4)] == [1, 8, 4]


# -- the model's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph_backend", GRAPHS, indirect=True)
def test_a_second_decoder_inside_the_step(family, graph_backend):
    """A code predictor: its cache is reset for every frame, within the same graph, and it sees the hidden state."""
    device = "cuda" if graph_backend is CudaGraphs else "cpu"
    small = build("qwen2", seed=4).decoder(rows=(1,), device=device)
    codes = torch.linspace(-1, 1, VOCABULARY * HIDDEN).sin().view(VOCABULARY, HIDDEN).to(device)
    cache = small.new_cache(1, 8)

    def frame(tokens, _step, state):
        cache.reset()
        x = small.prefill(torch.stack([state["hidden"], codes[tokens]], 1), cache, attended=8)
        total = codes[tokens]
        for _ in range(3):
            code = codes[(x @ codes.T).argmax(-1)]
            total = total + code
            x = small.step(code, cache, attended=8)
        return total

    graphed, eager = (
        drawn(make_loop(family, order=("temperature",), backend=backend, embedding=frame, places=1),
              admission_of(3, 20, n=5))
        for backend in (graph_backend, None)
    )  # fmt: skip
    assert graphed == eager


@pytest.mark.parametrize("backend", [None, RecordingGraphs], ids=["eager", "recorded"])
def test_taps_show_the_latest_row_only(family, backend):
    """Attention of a step adds up to one; what an earlier, longer row in the place looked at is gone."""
    taps = Taps([(0, 0), (1, 2)], rows=2, cap=CAP)
    loop = make_loop(family, order=("temperature",), taps=taps, backend=backend, places=1, chunk=64)
    for most in (40, 5):
        drawn(loop, admission_of(1, most))
        torch.testing.assert_close(taps.step[:, 0, : 10 + most].sum(-1), torch.ones(2))
    assert not taps.step[:, 0, 15:].any()


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        ([(9, 0)], {}, "layer 9"),
        ([(0, -1)], {}, "head -1"),
        ([(0, 0)], {"rows": 1}, "rows=2"),
        ([(0, 0)], {"cap": 8}, "cap=160"),
    ],
)
def test_taps_that_do_not_fit_are_refused(family, heads, options, message):
    """Another layer, head or size would hand out nothing, or another row's attention."""
    with pytest.raises(DecoderError, match=message):
        make_loop(family, places=1, taps=Taps(heads, **{"rows": 2, "cap": CAP, **options}))


def test_a_loop_ends_empty(family):
    """All places are free, and the next requests are served like the first ones."""
    loop = make_loop(family, order=PLAIN, places=2, check_every=5)
    assert serve(loop, range(4)) == serve(loop, range(4))
    assert (loop.free, loop.busy, loop.numbers) == (2, False, [])
