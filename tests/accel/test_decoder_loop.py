"""The decode loop: rows that do not disturb each other, ends, graphs, and nothing that grows."""

import gc
import itertools
import weakref
from types import SimpleNamespace

import psutil
import pytest

torch = pytest.importorskip("torch")

from families import HIDDEN, VOCABULARY, build  # noqa: E402
from graph_backends import BACKENDS, GRAPHS  # noqa: E402

from realtts import DecoderError, NotFinite  # noqa: E402
from realtts.accel.decoder import Buckets, DecodeLoop, LoopPool, Prompt, Taps, counted, sync_interval  # noqa: E402
from realtts.accel.graphs.cuda_graph import CudaGraphs  # noqa: E402
from realtts.accel.sampling import SamplingParams, SamplingRecipe  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

PRECISIONS = ["fp32", "bf16", "int8", "int4"]
STOP = 7
KERNELS = {"fp32": "dense", "bf16": "dense", "int8": "int8_weight_only"}
"""Named where two decoders are compared by tokens, whichever is the fastest on this machine."""
GUIDED = ("guidance", "repetition_penalty", "temperature", "min_p", "top_p")
SPEECH = SamplingParams(temperature=0.9, min_p=0.02, repetition_penalty=1.2, guidance=0.5)


@pytest.fixture(scope="module")
def family():
    """The family with most features."""
    return build("qwen3")


def noise_of(rows, n, seed):
    """Random prompt embeddings."""
    return torch.randn(rows, n, HIDDEN, generator=torch.Generator().manual_seed(seed))


def make_loop(family, streams, *, precision="fp32", backend=None, order=GUIDED, kernel=None, embedding=None, **options):
    """A loop with guidance, as Chatterbox has it."""
    device = "cuda" if backend is CudaGraphs else "cpu"
    decoder = family.decoder(precision=precision, rows=(2,), device=device, kernel=kernel)
    embed = family.embed.to(device)
    rows = 2 if "guidance" in order else 1
    return DecodeLoop(
        decoder,
        decoder.pack(family.head),
        embedding or (lambda tokens, _step, _state: embed[tokens].repeat(rows, 1)),
        SamplingRecipe(VOCABULARY, order=order, stop_tokens=(STOP,)),
        streams=streams,
        **{"cap": 160, "buckets": Buckets(160, 32), "backend": backend and backend(), **options},
    )


def speak(loop, prompts, seeds, limits, params=SPEECH, **options):
    """Tokens of each stream, and the last block."""
    x = torch.cat([torch.cat([p for p, _ in prompts]), torch.cat([u for _, u in prompts])]).to(loop.decoder.device)
    loop.begin(Prompt(x), [params] * len(seeds), seeds, limits, **options)
    found = [[] for _ in seeds]
    for block in loop.run():
        for stream, tokens in zip(found, block.tokens, strict=True):
            stream.extend(tokens)
    return found, block


def pair(seed):
    """Conditional and unconditional prompt of one stream."""
    return noise_of(1, 10, seed), noise_of(1, 10, seed + 100)


@pytest.mark.parametrize("graph_backend", BACKENDS, indirect=True)
def test_a_stream_is_the_same_alone_and_in_a_batch(family, graph_backend):
    """In float32: same tokens, whatever the neighbours do and whenever they end."""
    prompts, seeds, limits = [pair(1), pair(2), pair(3)], [5, 6, 7], [90, 20, 60]
    together, _ = speak(make_loop(family, 3, backend=graph_backend), prompts, seeds, limits)
    alone = [
        speak(make_loop(family, 1, backend=graph_backend), [p], [s], [n])[0][0]
        for p, s, n in zip(prompts, seeds, limits, strict=True)
    ]
    assert together == alone
    assert len({len(tokens) for tokens in together}) > 1


@pytest.mark.parametrize("precision", PRECISIONS)
def test_neighbours_do_not_matter_at_any_precision(family, precision):
    """A row's hidden state is the same beside quiet, loud and absent neighbours, up to float32 noise."""
    decoder = family.decoder(precision=precision, rows=(4,))
    found = []
    with torch.inference_mode():
        for seed, loudness in ((1, 1.0), (2, 1.0), (3, 100.0), (4, 0.0)):
            x = noise_of(4, 12, seed) * loudness
            step = noise_of(4, 1, seed + 50)[:, 0] * loudness
            x[2], step[2] = noise_of(1, 12, 77)[0], noise_of(1, 1, 78)[0, 0]
            cache = decoder.new_cache(4, 32)
            decoder.prefill(x, cache)
            found.append(decoder.step(step, cache)[2])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("graph_backend", GRAPHS, indirect=True)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_graphs_give_what_eager_decoding_gives(family, precision, graph_backend):
    """Over bucket boundaries, two requests with other parameters in a row, each bucket captured once."""
    kernel = None if graph_backend is CudaGraphs else KERNELS.get(precision)
    eager = make_loop(family, 2, precision=precision, kernel=kernel)
    graphed = make_loop(family, 2, precision=precision, kernel=kernel, backend=graph_backend)
    for seed, params in ((1, SPEECH), (2, SamplingParams(temperature=1.3, top_p=0.9, guidance=0.1))):
        request = ([pair(seed), pair(seed + 10)], [seed, seed + 1], [120, 80], params)
        assert speak(graphed, *request)[0] == speak(eager, *request)[0]
    assert len(graphed.graphs) == len({bucket for bucket, _ in graphed.graphs})


def test_warm_up_captures_what_a_request_needs(family):
    """After it, no request captures anything, and it leaves no trace in what is spoken."""
    cold, warm = (make_loop(family, 1, backend=RecordingGraphs) for _ in range(2))
    warm.warm_up(100)
    captured = warm.graphs
    assert [bucket for bucket, _ in captured] == [32, 64, 96, 128]
    request = ([pair(4)], [4], [85])
    assert speak(warm, *request)[0] == speak(cold, *request)[0]
    assert sorted(warm.graphs, key=str) == sorted(captured, key=str)
    warm.invalidate()
    assert warm.graphs == []


@pytest.mark.parametrize("graph_backend", GRAPHS, indirect=True)
def test_prompts_in_buckets_are_captured(family, graph_backend):
    """They are read as without, padded or not, and after a warm-up nothing is captured for them."""
    eager = make_loop(family, 2, backend=graph_backend)
    padded = make_loop(family, 2, backend=graph_backend, prompt_buckets=Buckets(160, 16))
    padded.warm_up(64, prompt=30)
    captured = padded.graphs
    assert [what[1] for what, _ in captured if isinstance(what, tuple)] == [16, 32]
    for n in (5, 16, 29):
        x = noise_of(4, n, n).to(eager.decoder.device)
        valid = torch.ones(4, n, dtype=torch.bool, device=x.device)
        valid[1::2, 4:] = False
        found = []
        for loop in (eager, padded):
            loop.begin(Prompt(x, valid), [SPEECH] * 2, [n, n + 1], [30, 20])
            found.append([block.tokens for block in loop.run()])
        assert found[0] == found[1]
    assert sorted(padded.graphs, key=str) == sorted(captured, key=str)


@pytest.mark.parametrize("graph_backend", BACKENDS, indirect=True)
def test_what_a_step_writes_comes_with_the_tokens(family, graph_backend):
    """Column by column, of streams that end at different times, and what they wrote after their ends stays behind."""
    device = "cuda" if graph_backend is CudaGraphs else "cpu"
    written = torch.zeros(2, 161, 3, dtype=torch.int64, device=device)
    embed = family.embed.to(device)

    def embedding(tokens, step, state):
        column = torch.where(state["live"], step - 1, 160)[:, None, None].expand(-1, 1, 3)
        written.scatter_(1, column, torch.stack([tokens, tokens + 1, step], 1)[:, None])
        return embed[tokens].repeat(2, 1)

    loop = make_loop(family, 2, backend=graph_backend, embedding=embedding, outputs=written, check_every=7)
    x = torch.cat([noise_of(2, 10, 1), noise_of(2, 10, 2)]).to(device)
    loop.begin(Prompt(x), [SPEECH] * 2, [3, 4], [25, 60])
    blocks = list(loop.run())
    columns = torch.cat([block.outputs for block in blocks], 1)
    for stream in range(2):
        tokens = [token for block in blocks for token in block.tokens[stream]]
        expected = [[token, token + 1, n + 1] for n, token in enumerate(tokens[:-1])]
        assert columns[stream, : len(tokens) - 1].tolist() == expected


def test_a_graph_is_not_replayed_under_another_structure(family):
    """What the model's own step depends on besides is part of a graph's key."""
    shift = [0]
    embed = family.embed
    loop = make_loop(
        family, 1, backend=RecordingGraphs, structure=lambda: shift[0],
        embedding=lambda tokens, _step, _state: embed[tokens].repeat(2, 1) + shift[0],
    )  # fmt: skip
    request = ([pair(4)], [4], [30])
    before = speak(loop, *request)[0]
    shift[0] = 1
    assert speak(loop, *request)[0] != before
    shift[0] = 0
    assert speak(loop, *request)[0] == before


def test_the_end(family):
    """A stop token ends a stream and is not part of it; a limit ends it too, and says so."""
    loop = make_loop(family, 2, order=("temperature",))
    x = noise_of(2, 10, 1)
    seen = None
    for seed in range(8):
        loop.begin(Prompt(x), [SamplingParams()] * 2, [seed, seed + 1], [100, 3])
        blocks = list(loop.run())
        lengths = [sum(len(block.tokens[stream]) for block in blocks) for stream in (0, 1)]
        assert all(STOP not in tokens for block in blocks for tokens in block.tokens)
        assert blocks[-1].finished == (True, True)
        assert blocks[-1].stopped[0] == (lengths[0] < 100)
        assert lengths[1] <= 3
        seen = seen or (lengths[0] < 100 and lengths)
    assert seen, "no seed drew the stop token"


def test_min_new_tokens_and_limit_force_a_length(family):
    """With both the same, a stream has exactly so many tokens."""
    loop = make_loop(family, 1)
    forced = SamplingParams(temperature=1.5, min_new_tokens=64, guidance=0.5)
    (tokens,), last = speak(loop, [pair(1)], [3], [64], forced)
    assert len(tokens) == 64
    assert last.stopped == (False,)


def test_blocks_come_while_it_decodes(family):
    """Streaming: every ``check_every`` steps; who stops reading stops the work."""
    loop = make_loop(family, 1, check_every=4)
    forced = SamplingParams(min_new_tokens=30, guidance=0.5)
    loop.begin(Prompt(torch.cat(pair(1))), [forced], [1], [30])
    sizes = [len(block.tokens[0]) for block in itertools.islice(loop.run(), 3)]
    assert sizes == [4, 4, 4]
    assert loop.cache.used[0] < 25
    assert [len(b.tokens[0]) for b in loop.run()] == [4, 4, 4, 4, 2]


def test_a_prefix_read_once_serves_many_rows(family):
    """Rows that begin with a copied prefix go on as if each had read it."""
    loop = make_loop(family, 2, order=("temperature",))
    shared, own = noise_of(1, 20, 1), noise_of(2, 6, 2)
    whole = torch.cat([shared.repeat(2, 1, 1), own], 1)
    greedy = [SamplingParams(greedy=True)] * 2
    loop.begin(Prompt(whole), greedy, [0, 1], [40, 40])
    expected = [b.tokens for b in loop.run()]
    prefix = loop.decoder.new_cache(1, 32)
    with torch.inference_mode():
        loop.decoder.prefill(shared, prefix)
        loop.cache.reset()
        loop.cache.copy_prefix(prefix, 0, [0, 1], 20)
    loop.begin(Prompt(own), greedy, [0, 1], [40, 40], after_prefix=True)
    assert [b.tokens for b in loop.run()] == expected


@pytest.mark.parametrize("graph_backend", GRAPHS, indirect=True)
def test_prompts_after_a_prefix_are_captured_too(family, graph_backend):
    """Rows may begin with different ones, and the padding may reach beyond the cap; they go on as without graphs."""
    eager, graphed = (make_loop(family, 2, order=("temperature",), **how) for how in (
        {}, {"backend": graph_backend, "prompt_buckets": Buckets(160, 16)},
    ))  # fmt: skip
    graphed.warm_up(64, prompt=16, after_prefix=20)
    captured = graphed.graphs
    assert [what for what, _ in captured if isinstance(what, tuple)] == [("prompt", 16, 64)]
    for lengths, n, limit in (((20, 0), 6, 30), ((20, 20), 16, 20), ((140, 3), 7, 12)):
        found = []
        for loop in (eager, graphed):
            prefix, x = loop.decoder.new_cache(1, 160), noise_of(2, n, n).to(loop.decoder.device)
            with torch.inference_mode():
                loop.decoder.prefill(noise_of(1, 150, 1).to(x.device), prefix)
                loop.cache.reset()
                for row, length in enumerate(lengths):
                    if length:
                        loop.cache.copy_prefix(prefix, 0, [row], length)
            loop.begin(Prompt(x), [SamplingParams(greedy=True)] * 2, [0, 1], [limit, limit], after_prefix=True)
            found.append([block.tokens for block in loop.run()])
        assert found[0] == found[1]
        if max(lengths) == 20:
            assert sorted(graphed.graphs, key=str) == sorted(captured, key=str)


@pytest.mark.parametrize("order", [GUIDED, ("repetition_penalty", "temperature", "top_k")], ids=["guided", "plain"])
def test_streams_that_ended_are_left_out(family, order):
    """The others draw what they would have drawn, in a new order, after one such change and after another."""
    limits, kept = [6, 40, 12, 30, 50], [[0, 1, 2, 3, 4], [4, 1, 3], [1, 4]]
    params = [SamplingParams(temperature=1.1, top_k=20, guidance=0.5, min_new_tokens=60)] * 5
    rows = 10 if order is GUIDED else 5

    def begun():
        loop = make_loop(family, 5, order=order, check_every=1)
        prompt = noise_of(rows, 7, 3)
        valid = torch.arange(7) < torch.arange(rows)[:, None] % 5 + 3
        loop.begin(Prompt(prompt, valid), params, [1, 2, 3, 4, 5], limits)
        return loop

    expected = [[] for _ in limits]
    for block in begun().run():
        for stream, new in enumerate(block.tokens):
            expected[stream] += new
    found, loop, now = [[] for _ in limits], begun(), kept[0]
    for count, block in enumerate(loop.run(), 1):
        for stream, new in zip(now, block.tokens, strict=True):
            found[stream] += new
        if count in {15, 35}:
            before, now = now, kept[1 if count == 15 else 2]
            loop.keep([before.index(stream) for stream in now])
    assert found == expected
    assert [len(tokens) for tokens in found] == limits
    assert loop.drawn == 50


def test_what_the_model_holds_of_a_stream_goes_with_it(family):
    """Its own state, outputs and taps, when other streams are left out; a loop cannot be begun again then."""
    limits, kept = [8, 40, 12, 30], [3, 1]
    params = [SamplingParams(temperature=1.1, top_k=20, min_new_tokens=60)] * 4

    def run(keep):
        frames, taps = torch.zeros(4, 161, dtype=torch.int64), Taps([(1, 2)], rows=4, cap=160)

        def embedding(tokens, step, state):
            at = state["rows"]
            state["seen"].index_copy_(0, at, state["seen"][at] + tokens)
            frames.index_put_((at, torch.where(state["live"], step - 1, 160)), state["seen"][at])
            return family.embed[tokens] + 0.3 * taps.step[0, at, :1]

        loop = make_loop(
            family, 4, order=("temperature", "top_k"), check_every=1, embedding=embedding, outputs=frames, taps=taps,
            row_state={"seen": torch.zeros(4, dtype=torch.int64)},
        )  # fmt: skip
        loop.begin(Prompt(noise_of(4, 7, 3)), params, [1, 2, 3, 4], limits)
        tokens, columns, now = [[] for _ in limits], [[] for _ in limits], [0, 1, 2, 3]
        for count, block in enumerate(loop.run(), 1):
            for stream, new, written in zip(now, block.tokens, block.outputs, strict=True):
                if new:
                    tokens[stream] += new
                    columns[stream] += written.tolist()
            if keep and count == 15:
                loop.keep(kept)
                now = kept
        return tokens, columns, loop

    tokens, columns, _ = run(keep=False)
    found, found_columns, loop = run(keep=True)
    assert (found, found_columns) == (tokens, columns)
    assert [len(own) for own in columns] == [limit - 1 for limit in limits]
    with pytest.raises(DecoderError, match="left out"):
        loop.begin(Prompt(noise_of(2, 7, 3)), params[:2], [1, 2], [5, 5])


@pytest.mark.parametrize(("streams", "message"), [([], r"are \[\]"), ([0, 0], r"\[0, 0\]"), ([2], r"\[2\]")])
def test_streams_to_be_kept_must_exist_once(family, streams, message):
    """And in a loop whose steps are captured none can go."""
    with pytest.raises(DecoderError, match=message):
        make_loop(family, 2).keep(streams)
    with pytest.raises(DecoderError, match="fixed"):
        make_loop(family, 2, backend=RecordingGraphs).keep([0])


def test_rows_of_any_lengths_are_padded_on_the_right(family):
    """What is padded does not count; rows of one length need no mask."""
    rows = [noise_of(1, n, n)[0] for n in (3, 9, 5)]
    prompt = Prompt.padded(rows)
    assert prompt.embeddings.shape == (3, 9, HIDDEN)
    assert prompt.valid.sum(1).tolist() == [3, 9, 5]
    for row, given, valid in zip(prompt.embeddings, rows, prompt.valid, strict=True):
        assert torch.equal(row[valid], given)
    assert Prompt.padded([rows[0], rows[0]]).valid is None


@pytest.mark.parametrize("graphed", [True, False], ids=["graphs", "eager"])
def test_loops_are_kept_until_a_longer_one_is_needed(graphed):
    """Caps in steps of 128 slots; the old one is gone when the new one is made. Graphs keep those of batches, too."""
    gone = []

    class Own:
        def __init__(self, streams, cap):
            self.loop = SimpleNamespace(streams=streams, cache=SimpleNamespace(cap=cap))

    def make(key, cap):
        gone.append([past() is None for past in made])
        own = Own(key, cap)
        made.append(weakref.ref(own))
        return own

    made = []
    loops = LoopPool(graphed=graphed, least=200)
    assert loops.of(1, 200, make).loop.cache.cap == 256
    assert loops.of(1, 256, make) is loops.of(1, 3, make)
    assert loops.of(2, 300, make).loop.cache.cap == 384
    assert loops.of(1, 257, make).loop.cache.cap == 384
    assert gone == [[], [False], [True, False]]
    loops.release()
    assert [past() is None for past in made] == [True, not graphed, False]
    assert loops.of(4, 10, make).loop.cache.cap == (256 if graphed else 128)


def test_steps_are_counted_as_they_are_drawn():
    """What was drawn before does not count; each step costs what it costs then."""
    loop, added = SimpleNamespace(drawn=1), []

    def drawn():
        for total in (4, 4, 6):
            loop.drawn = total
            yield total

    work = SimpleNamespace(add=lambda **cost: added.append(cost))
    seen = counted(drawn(), loop, work, lambda: (10 * loop.drawn, loop.drawn))
    assert [(new, len(added)) for new in seen] == [(4, 1), (4, 2), (6, 3)]
    assert [tuple(cost[name] for name in ("steps", "flops", "bytes")) for cost in added] == [
        (3, 120, 12),
        (0, 0, 0),
        (2, 120, 12),
    ]


def test_looks_at_a_device_are_far_apart():
    """On the CPU they cost nothing."""
    assert [sync_interval("cpu"), sync_interval(torch.device("cuda", 1)), sync_interval("cuda", 4)] == [1, 8, 4]


@pytest.mark.parametrize("graph_backend", BACKENDS, indirect=True)
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
            x = small.step(x, cache, attended=8)
            total = total + x
        return total

    def run(backend):
        loop = make_loop(family, 1, order=("temperature",), backend=backend, embedding=frame)
        loop.begin(Prompt(noise_of(1, 5, 1).to(device)), [SamplingParams()], [3], [50])
        return [token for block in loop.run() for token in block.tokens[0]]

    assert run(graph_backend) == run(None)


def test_row_state_moves_on_inside_the_graph(family):
    """A trailing text that is consumed step by step, then padding: held in tensors, changed in place."""
    text = noise_of(1, 12, 5)

    def embedding(tokens, step, state):
        at = (step - 1).clamp(max=state["text"].shape[1] - 1)
        state["used"].add_(1)
        return family.embed[tokens] + state["text"].gather(1, at.view(-1, 1, 1).expand(-1, 1, HIDDEN))[:, 0]

    def run(backend):
        loop = make_loop(
            family,
            1,
            order=("temperature",),
            backend=backend,
            embedding=embedding,
            row_state={"text": text.clone(), "used": torch.zeros(1, dtype=torch.int64)},
        )
        forced = SamplingParams(min_new_tokens=30)
        loop.begin(Prompt(noise_of(1, 5, 1)), [forced], [3], [30])
        return [t for block in loop.run() for t in block.tokens[0]], int(loop.row_state["used"])

    eager = run(None)
    assert eager[1] == 29
    assert run(RecordingGraphs) == eager


def test_taps_reach_a_processor_inside_the_graph(family):
    """A model's own processor reads attention of the step before, and bans a token by it."""

    def run(backend):
        taps = Taps([(1, 2)], rows=1, cap=160)

        def processor(scores, _step, _rows):
            looks_back = taps.step[0, :, :10].sum(-1, keepdim=True) > 0.4
            return torch.where(looks_back, scores - scores.amax(-1, keepdim=True).clamp(min=0), scores * 2)

        decoder = family.decoder(rows=(1,))
        recipe = SamplingRecipe(VOCABULARY, order=("own", "temperature"), own={"own": processor})
        loop = DecodeLoop(
            decoder,
            decoder.pack(family.head),
            lambda tokens, _step, _state: family.embed[tokens],
            recipe,
            cap=160,
            taps=taps,
            backend=backend,
        )
        loop.begin(Prompt(noise_of(1, 10, 2)), [SamplingParams()], [1], [80])
        return [t for block in loop.run() for t in block.tokens[0]], taps.step.clone()

    tokens, attention = run(None)
    recorded, replayed = run(RecordingGraphs())
    assert recorded == tokens
    torch.testing.assert_close(attention, replayed)
    torch.testing.assert_close(attention.sum(-1), torch.ones(1, 1))


def test_broken_logits_are_an_error(family):
    """NaN: the step after it says which stream; in float32 no switch would help."""
    loop = make_loop(family, 2)
    x = torch.cat([pair(1)[0], pair(2)[0], pair(1)[1], pair(2)[1]])
    x[1, 3, 5] = float("nan")
    loop.begin(Prompt(x), [SPEECH] * 2, [1, 2], [20, 20])
    with pytest.raises(NotFinite, match=r"stream 1 .*its weights are to blame"):
        list(loop.run())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limits": [200]}, "10 prompt positions and 200 tokens.*160 slots"),
        ({"limits": [0]}, "max_new_tokens"),
        ({"seeds": [1, 2]}, "2 seeds"),
        ({"x": torch.zeros(1, 10, HIDDEN)}, "shape"),
        ({"x": torch.zeros(2, 10, HIDDEN + 1)}, "shape"),
    ],
    ids=["too long", "nothing", "seeds", "rows", "width"],
)
def test_what_does_not_fit_is_refused(family, change, message):
    """Before any work, by name."""
    loop = make_loop(family, 1)
    given = {"x": torch.cat(pair(1)), "seeds": [1], "limits": [5], **change}
    with pytest.raises(DecoderError, match=message):
        loop.begin(Prompt(given["x"]), [SPEECH], given["seeds"], given["limits"])
    assert loop.cache.used == [0, 0]


@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.full)])
@pytest.mark.parametrize("backend", [None, RecordingGraphs], ids=["eager", "recorded"])
def test_nothing_grows(family, backend, count, unchanged):
    """Requests of different lengths, over 40 steps each: no new graph, no compilation, no tensor, no memory."""
    loop = make_loop(family, 1, backend=backend)
    loop.warm_up(160)
    counted = torch._dynamo.utils.counters
    compiled = {name: dict(values) for name, values in counted.items()}

    def requests():
        steps = 0
        for number in range(0, 50, 50 // count):
            forced = SamplingParams(min_new_tokens=20 + number, temperature=0.5 + number / 50, guidance=0.5)
            (tokens,), _ = speak(loop, [pair(number)], [number], [20 + number], forced)
            steps += len(tokens)
        gc.collect()
        tensors = [o for o in gc.get_objects() if type(o) is torch.Tensor]
        return steps, (len(tensors), sum(t.numel() for t in tensors)), psutil.Process().memory_info().rss

    _, before, rss_before = requests()  # every length once, so that all that is lazy has happened
    graphs = list(loop.graphs)
    steps, after, rss_after = requests()
    assert steps > 40 * count
    assert after == before
    assert sorted(loop.graphs, key=str) == sorted(graphs, key=str)
    assert {name: dict(values) for name, values in counted.items()} == compiled
    assert rss_after - rss_before < 16 * 2**20


def forced_greedy(n):
    """Exactly n tokens, without chance."""
    return SamplingParams(greedy=True, min_new_tokens=n, guidance=0.5)


@pytest.mark.parametrize("every", [1, 2, 7])
def test_any_check_interval_gives_the_same_tokens(family, every):
    """Also when the reader stops half-way and another one goes on."""
    loop = make_loop(family, 1, check_every=every)
    expected, _ = speak(make_loop(family, 1), [pair(1)], [1], [20], forced_greedy(20))
    loop.begin(Prompt(torch.cat(pair(1))), [forced_greedy(20)], [1], [20])
    first = [t for b in itertools.islice(loop.run(), 2) for t in b.tokens[0]]
    assert first + [t for b in loop.run() for t in b.tokens[0]] == expected[0]


def test_check_interval_must_be_positive(family):
    """Zero would never look."""
    with pytest.raises(DecoderError, match="check_every is 0"):
        make_loop(family, 1, check_every=0)


def test_a_stream_can_be_stopped(family):
    """From the host, between blocks; the other one goes on as if nothing had happened."""
    prompts, seeds, limits = [pair(1), pair(2)], [1, 2], [40, 40]
    expected, _ = speak(make_loop(family, 2), prompts, seeds, limits, forced_greedy(40))
    loop = make_loop(family, 2, check_every=5)
    x = torch.cat([*(c for c, _ in prompts), *(u for _, u in prompts)])
    loop.begin(Prompt(x), [forced_greedy(40)] * 2, seeds, limits)
    found = [[], []]
    for number, block in enumerate(loop.run()):
        for stream, tokens in zip(found, block.tokens, strict=True):
            stream.extend(tokens)
        if number == 1:
            loop.stop(0)
    assert found == [expected[0][:10], expected[1]]


def test_a_request_up_to_the_last_slot_can_be_captured(family):
    """Warm-up runs go no further than the request itself, which may end at the cap and at the last position."""
    decoder = family.decoder(rows=(1,), max_positions=64)

    def run(backend):
        loop = DecodeLoop(
            decoder,
            decoder.pack(family.head),
            lambda tokens, _step, _state: family.embed[tokens],
            SamplingRecipe(VOCABULARY, order=()),
            cap=64,
            backend=backend,
        )
        loop.begin(Prompt(noise_of(1, 62, 1)), [SamplingParams(greedy=True)], [0], [3])
        return [t for b in loop.run() for t in b.tokens[0]]

    assert run(RecordingGraphs()) == run(None)


def test_a_long_cache_keeps_its_graphs(family):
    """A request over a hundred buckets captures each once, and the next one none."""
    decoder = family.decoder(rows=(1,))
    backend = RecordingGraphs()
    loop = DecodeLoop(
        decoder,
        decoder.pack(family.head),
        lambda tokens, _step, _state: family.embed[tokens],
        SamplingRecipe(VOCABULARY, order=()),
        cap=200,
        buckets=Buckets(200, 2),
        backend=backend,
    )
    for _ in range(2):
        loop.begin(Prompt(noise_of(1, 4, 1)), [SamplingParams(greedy=True)], [0], [190])
        list(loop.run())
        captures = backend.captures
    assert captures == len(loop.graphs) > 64


def test_warm_up_prepares_for_the_sampling_to_come(family):
    """A narrowed vocabulary has a graph of its own; the model's state is left as it was."""
    decoder = family.decoder(rows=(1,))
    backend = RecordingGraphs()

    def counting(tokens, _step, state):
        state["steps"].add_(1)
        return family.embed[tokens]

    loop = DecodeLoop(
        decoder,
        decoder.pack(family.head),
        counting,
        SamplingRecipe(VOCABULARY, order=("top_k",), narrow=True),
        cap=64,
        row_state={"steps": torch.zeros(1)},
        backend=backend,
    )
    params = SamplingParams(top_k=5)
    loop.warm_up(64, params)
    assert loop.row_state["steps"].item() == 0
    captures = backend.captures
    loop.begin(Prompt(noise_of(1, 4, 1)), [params], [0], [40])
    list(loop.run())
    assert backend.captures == captures


def test_taps_show_the_latest_request_only(family):
    """What an earlier, longer request looked at is gone, and an ended stream's last look stays."""
    taps = Taps([(0, 0)], rows=1, cap=160)
    loop = make_loop(family, 1, order=("temperature",), taps=taps)
    for n in (140, 5):
        loop.begin(Prompt(noise_of(1, 10, 1)), [SamplingParams(min_new_tokens=n)], [1], [n])
        list(loop.run())
    assert taps.step[..., :15].sum() == pytest.approx(1)
    assert not taps.step[..., 15:].any()


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        ([(9, 0)], {}, "layer 9"),
        ([(0, -1)], {}, "head -1"),
        ([(0, 0)], {"rows": 2}, "rows=1"),
        ([(0, 0)], {"cap": 8}, "cap=160"),
    ],
)
def test_taps_that_do_not_fit_are_refused(family, heads, options, message):
    """Another layer, head or size would hand out nothing, or another row's attention."""
    with pytest.raises(DecoderError, match=message):
        make_loop(family, 1, order=("temperature",), taps=Taps(heads, **{"rows": 1, "cap": 160, **options}))


@pytest.mark.parametrize(
    "change",
    [
        {"x": torch.zeros(2, 10, HIDDEN - 1)},
        {"x": torch.zeros(10)},
        {"seeds": [2**64]},
        {"history": [[1], [2]]},
        {"history": [[VOCABULARY]]},
        {"valid": torch.zeros(2, 10, dtype=torch.bool)},
        {"positions": torch.full((2, 10), 10_000)},
    ],
    ids=["width", "shape", "seed", "history", "token", "padding", "positions"],
)
def test_a_refused_request_changes_nothing(family, change):
    """The request before it can still be read to its end."""
    expected, _ = speak(make_loop(family, 1), [pair(1)], [1], [20], forced_greedy(20))
    loop = make_loop(family, 1)
    loop.begin(Prompt(torch.cat(pair(1))), [forced_greedy(20)], [1], [20])
    first = next(loop.run()).tokens[0]
    given = {"x": torch.cat(pair(2)), "seeds": [1], "history": None, "valid": None, "positions": None, **change}
    with pytest.raises(DecoderError):
        loop.begin(
            Prompt(given["x"], given["valid"], given["positions"]), [SPEECH], given["seeds"], [5],
            history=given["history"],
        )  # fmt: skip
    assert [*first, *(t for b in loop.run() for t in b.tokens[0])] == expected[0]
