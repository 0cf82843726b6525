"""Each part of a model in its own type: what is cast, what is not, and how tensors cross the borders."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from realtts import AccelError, NotFinite  # noqa: E402
from realtts.accel.precision import ISLANDS, NORMS, Rule, apply_policy, check_finite  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")


class Seen(nn.Linear):
    """A layer that notes the types of its inputs and weights."""

    def __init__(self):
        super().__init__(4, 4)
        self.types = []

    def forward(self, x, *, scale=None):
        """Also with a keyword tensor."""
        self.types.append((x.dtype, self.weight.dtype, None if scale is None else scale.dtype))
        return super().forward(x) if scale is None else super().forward(x) * scale


class Model(nn.Module):
    """A body in half precision, with an island, a list of parts, ties and things that must not be cast."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(8, 4)
        self.token_embedding = nn.Embedding(8, 4)
        self.body = Seen()
        self.stft = Seen()
        self.heads = nn.ModuleList([Seen(), nn.LayerNorm(4)])
        self.out = nn.Linear(4, 8, bias=False)
        self.out.weight = self.embed.weight
        self.register_buffer("steps", torch.arange(3))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("exact", torch.ones(2, dtype=torch.float64))

    def forward(self, tokens, extra):
        """Through all parts."""
        x = self.body(self.embed(tokens) + self.token_embedding(tokens), scale=extra)
        for head in self.heads:
            x = head(x)
        return self.out(self.stft(x))


@pytest.fixture
def model():
    """A fresh model, its random numbers drawn without touching the caller's."""
    with torch.random.fork_rng(devices=[]):
        return Model().eval()


TOKENS = torch.tensor([[1, 2, 3]])
EXTRA = torch.full((4,), 0.5)


def test_islands_stay_in_float32_and_the_borders_are_crossed(model):
    """The island gets float32, what comes out of it goes on in bfloat16, and so do the caller's own inputs."""
    applied = apply_policy(model, ISLANDS, "bfloat16")
    with torch.inference_mode():
        logits = model(TOKENS, EXTRA)
    assert logits.dtype is torch.bfloat16
    assert model.body.types == [(torch.bfloat16, torch.bfloat16, torch.bfloat16)]
    assert model.stft.types == [(torch.float32, torch.float32, None)]
    assert applied.islands == ("stft",)
    assert applied.dtypes[""] == "bfloat16"
    assert (applied.dtypes["stft"], applied.dtypes["body"]) == ("float32", "bfloat16")


def test_an_embedding_of_tokens_is_no_tokenizer(model):
    """Names are matched as whole words."""
    assert apply_policy(model, ISLANDS, torch.bfloat16).dtypes["token_embedding"] == "bfloat16"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_integers_booleans_and_float64_are_never_cast(model, dtype):
    """They are named in the report."""
    applied = apply_policy(model, ISLANDS, dtype)
    assert [model.steps.dtype, model.mask.dtype, model.exact.dtype] == [torch.int64, torch.bool, torch.float64]
    assert set(applied.untouched) == {"steps", "mask", "exact"}


def test_ties_and_parameters_survive(model):
    """The same Parameter objects, tied ones still tied."""
    before = dict(model.named_parameters())
    apply_policy(model, ISLANDS, "bfloat16")
    assert model.out.weight is model.embed.weight
    assert all(parameter is before[name] for name, parameter in model.named_parameters())


def test_no_forward_is_replaced(model):
    """Only torch's own hooks, and they can be taken away."""
    applied = apply_policy(model, ISLANDS, "bfloat16")
    assert all("forward" not in vars(part) for part in model.modules())
    applied.remove()
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in model.modules())
    assert model.body.weight.dtype is torch.bfloat16


def test_undo_brings_back_every_bit(model):
    """If the old weights were kept; not after they were forgotten."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    applied = apply_policy(model, ISLANDS, "float16", keep=True)
    assert applied.can_undo
    applied.undo()
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    applied = apply_policy(model, ISLANDS, "float16", keep=True)
    applied.forget()
    with pytest.raises(AccelError, match="keep=True"):
        applied.undo()


def test_float32_is_the_switch(model):
    """Everything is float32, whatever the policy says, and there are no hooks."""
    applied = apply_policy(model, [Rule(torch.float16, names=("*",))], "float32")
    assert set(applied.dtypes.values()) == {"float32"}
    assert not any(part._forward_pre_hooks for part in model.modules())


def test_rules_by_name_pattern_class_and_class_name(model):
    """The first that matches wins; what lies below inherits."""
    rules = [Rule("float32", names=("heads.0",)), Rule("float16", types=(Seen,)), Rule("float32", types=("layern*",))]
    dtypes = apply_policy(model, rules, "bfloat16").dtypes
    assert {name: dtypes[name] for name in ("heads.0", "body", "stft", "heads.1", "embed")} == {
        "heads.0": "float32",
        "body": "float16",
        "stft": "float16",
        "heads.1": "float32",
        "embed": "bfloat16",
    }


def test_a_list_of_parts_has_its_borders_at_the_members(model):
    """A ModuleList is never called."""
    applied = apply_policy(model, [Rule("float32", names=("heads",))], "bfloat16")
    assert applied.islands == ("heads.0", "heads.1")
    with torch.inference_mode():
        assert model(TOKENS, EXTRA).dtype is torch.bfloat16
    assert model.heads[0].types == [(torch.float32, torch.float32, None)]


def test_norms_on_request(model):
    """A policy of its own, to be added."""
    assert apply_policy(model, (*ISLANDS, *NORMS), "bfloat16").dtypes["heads.1"] == "float32"


def test_a_weight_shared_by_two_types_is_refused(model):
    """Before anything is changed."""
    with pytest.raises(AccelError, match=r"'weight' is shared by 'embed' .*REALTTS_DTYPE=float32"):
        apply_policy(model, [Rule("float32", names=("out",))], "bfloat16")
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", ["int8", torch.int64, "nonsense"])
def test_types_that_cannot_compute_are_refused(model, dtype):
    """The error names the switch."""
    with pytest.raises(AccelError, match="REALTTS_DTYPE=float32"):
        apply_policy(model, ISLANDS, dtype)


def test_half_precision_stays_close(model):
    """The whole model in bfloat16 against float32, at that type's resolution."""
    with torch.inference_mode():
        exact = model(TOKENS, EXTRA)
        apply_policy(model, ISLANDS, "bfloat16")
        assert torch.allclose(model(TOKENS, EXTRA).float(), exact, atol=0.05)


def test_nested_outputs_are_cast_by_their_parts():
    """Tuples, named tuples and dictionaries; integers in them stay."""

    class Nested(nn.Module):
        def forward(self, values):
            return {"list": [values["x"]], "pair": (values["x"], values["n"]), "text": "as it is"}

    model = nn.Sequential()
    model.add_module("stft", Nested())
    apply_policy(model, ISLANDS, "bfloat16")
    out = model({"x": torch.ones(2), "n": torch.arange(2)})
    assert out["list"][0].dtype is torch.bfloat16
    assert [part.dtype for part in out["pair"]] == [torch.bfloat16, torch.int64]
    assert out["text"] == "as it is"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_check_finite_names_the_place_and_the_switch(value):
    """Of the first tensor that is not."""
    values = {"good": torch.ones(2), "ids": torch.arange(2), "bad": [torch.ones(1), torch.tensor([1.0, value])]}
    with pytest.raises(NotFinite, match=r"T3: NaN or infinity in \['bad'\]\[1\]\. Fix: set dtype='float32'"):
        check_finite(values, "T3")


@pytest.mark.parametrize("value", [torch.ones(3), torch.empty(0), [], None, "text", {"x": torch.arange(3)}], ids=str)
def test_check_finite_passes_what_is_good(value):
    """Also where there is nothing to check."""
    check_finite(value, "T3")
