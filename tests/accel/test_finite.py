"""What is said of NaN and infinity: half precision can be left, and of float32 only the weights can be the reason."""

import pytest

torch = pytest.importorskip("torch")

from realtts import CheckpointCorrupt, NotFinite  # noqa: E402
from realtts.accel.decoder import Precision  # noqa: E402
from realtts.accel.finite import blaming, check_output  # noqa: E402

BAD = torch.tensor([1.0, float("nan")])


def test_below_float32_that_is_the_advice():
    """Another rung may do."""
    with pytest.raises(NotFinite, match=r"model: NaN or infinity.*dtype='float32'"):
        check_output(BAD, "model", file="model.safetensors", exact=False)


def test_in_float32_the_file_is_named():
    """No setting mends it, so none is advised; no other rung is tried."""
    with pytest.raises(CheckpointCorrupt, match=r"'model\.safetensors'.*fetch it again") as caught:
        check_output([torch.ones(2), BAD], "model", file="model.safetensors", exact=True)
    assert "dtype" not in str(caught.value)
    assert isinstance(caught.value.__cause__, NotFinite)


def test_what_is_good_passes():
    """And so does every other error."""
    check_output(torch.ones(2), "model", file="model.safetensors", exact=True)
    with pytest.raises(ZeroDivisionError), blaming("model.safetensors", exact=True):
        raise ZeroDivisionError


@pytest.mark.parametrize(("weights", "exact"), [("fp32", True), ("bf16", False), ("int8", False), ("int4", False)])
def test_what_is_exact(weights, exact):
    """Float32 with the checkpoint's own weights."""
    assert Precision.of(weights, torch.device("cpu")).is_exact is exact
    assert not Precision("fp32", torch.bfloat16).is_exact
