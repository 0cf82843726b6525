"""Row loops over random decoders, and requests that join and leave them."""

import random

import pytest

torch = pytest.importorskip("torch")

from families import HIDDEN, VOCABULARY  # noqa: E402

from realtts.accel.decoder import Admission, RowLoop  # noqa: E402
from realtts.accel.graphs.cuda_graph import CudaGraphs  # noqa: E402
from realtts.accel.sampling import SamplingParams, SamplingRecipe  # noqa: E402

STOPS, CAP = (7, 20, 33, 46, 59), 160
PLAIN = ("repetition_penalty", "temperature", "top_k", "top_p")
GUIDED = ("guidance", "repetition_penalty", "temperature", "min_p", "top_p")


def make_loop(
    family,
    *,
    order=PLAIN,
    backend=None,
    recipe=None,
    embedding=None,
    precision="fp32",
    kernel=None,
    device=None,
    **options,
):
    """A loop of four places; by default on the device of its backend."""
    device = device or ("cuda" if backend is CudaGraphs else "cpu")
    decoder = family.decoder(rows=(2,), device=device, precision=precision, kernel=kernel)
    per_stream = 2 if "guidance" in order else 1
    embed = family.embed.to(device)
    places = None if family.places is None else family.places.to(device)

    def next_embedding(tokens, _step, state):
        x = embed[tokens].repeat(per_stream, 1)
        return x if places is None else x + places[state["position"]]

    return RowLoop(
        decoder,
        decoder.pack(family.head),
        embedding or next_embedding,
        recipe or SamplingRecipe(VOCABULARY, order=order, stop_tokens=STOPS),
        **{"cap": CAP, "backend": backend and backend(), "places": 4, "chunk": 8, **options},
    )


def request_of(number, *, per_stream=1, device="cpu"):
    """A request whose prompt, sampling, seed and limit are all its own."""
    draw = random.Random(number)
    noise = torch.Generator().manual_seed(number)
    x = torch.randn(per_stream, draw.randint(1, 30), HIDDEN, generator=noise).to(device)
    params = SamplingParams(
        temperature=draw.choice([0.5, 0.9, 1.4]),
        top_k=draw.choice([0, 0, 5, 90]),
        top_p=draw.choice([1.0, 0.9]),
        min_p=draw.choice([0.0, 0.03]),
        repetition_penalty=draw.choice([1.0, 1.3]),
        guidance=0.5 if per_stream == 2 else 0.0,
        min_new_tokens=draw.choice([0, 5, 20]),
        greedy=draw.random() < 0.2,
        stop_tokens=draw.choice([None, (3, 9), tuple(range(0, VOCABULARY, 6)), ()]),
    )
    history = [draw.randrange(VOCABULARY) for _ in range(draw.randint(0, 3))]
    return Admission(x, params, seed=1000 + number, most=draw.randint(1, 35), history=history)


def serve(loop, numbers, *, seed=0, cancel=(), again=(), per_stream=1, each=lambda _loop: None):
    """Admit requests at random times, cancel some and draw some anew, each after some tokens; their tokens and ends."""
    draw, waiting = random.Random(seed), list(numbers)
    found, ends, redrawn = {number: [] for number in numbers}, {}, set()
    while waiting or loop.busy:
        while waiting and loop.free and draw.random() < 0.6:
            number = waiting.pop(0)
            loop.admit(number, request_of(number, per_stream=per_stream, device=loop.decoder.device))
        for block in loop.step():
            found[block.number].extend(block.tokens)
            count = len(found[block.number])
            if block.number in again and block.number not in redrawn and (count >= 4 or block.end):
                redrawn.add(block.number)
                found[block.number].clear()
                loop.redraw(block.number, seed=1000 + block.number)
            elif block.end or (block.number in cancel and count >= 3):
                ends[block.number] = block.end or "cancelled"
                loop.release(block.number)
        each(loop)
    return found, ends


def alone(loop, number, *, per_stream=1):
    """Tokens and end of a request when nobody else is there."""
    found, ends = serve(loop, [number], per_stream=per_stream)
    return found[number], ends[number]


def speak(loop, admission, number=0):
    """Tokens of a request, step by step, and its last block, when nobody else is there."""
    steps = []
    loop.admit(number, admission)
    while loop.busy:
        blocks = loop.step()
        steps += [block.tokens for block in blocks]
    loop.release(number)
    return steps, blocks[0]


def drawn(loop, admission):
    """Tokens of a request when nobody else is there."""
    return [token for tokens in speak(loop, admission)[0] for token in tokens]
