"""A provider that speaks through a server: what ``model=`` means to it, and whose the names of voices are."""

import pytest

from realtts import RealProvider, errors
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts.testing import fake_spec
from realtts.wire.specs import spec_from_json, spec_to_json

REMOTE = fake_spec(remote=True)


@pytest.mark.parametrize(
    "model",
    ["http://127.0.0.1:8000/v1", "https://host/v1#owner/name", "tts-1", "owner/name", "a/b/c d", ".", "http://[::1]/#a@b"],
)  # fmt: skip
def test_a_model_is_what_the_server_is_given(model):
    """Whatever lies on this machine under that name."""
    checkpoint = resolve_checkpoint(model, REMOTE)
    assert (checkpoint.name, checkpoint.source, checkpoint.path) == (model, "", None)
    assert RealProvider(REMOTE, model=model).generate("Hello.").duration > 0


@pytest.mark.parametrize("model", ["", "  ", "http://me:secret@host/v1", "https://me@host", "x://a:b@c/d?e#f"])
def test_blanks_and_passwords_are_refused(model):
    """Neither status nor message shows what was given."""
    with pytest.raises(errors.UnknownCheckpoint) as caught:
        RealProvider(REMOTE, model=model)
    assert "secret" not in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("model", ["http://127.0.0.1:8000/v1", "tts-1"])
def test_other_providers_load_no_addresses(model):
    """They have files."""
    with pytest.raises(errors.UnknownCheckpoint):
        RealProvider(fake_spec(), model=model)


def test_it_travels_to_workers():
    """As every field of a spec."""
    assert spec_from_json(spec_to_json(REMOTE), installed=True).remote
    with pytest.raises(errors.InvalidPlugin, match="remote"):
        fake_spec(remote="yes")


@pytest.mark.parametrize("voice", ["nobody", "one+two", "Nova"])
def test_voices_that_are_not_listed(voice):
    """Are the provider's to judge where it says so, and unknown elsewhere; listed ones keep their ids."""
    capabilities = frozenset({"voices", "unlisted_voices"})
    with RealProvider(fake_spec(capabilities=capabilities)) as tts:
        assert tts.generate("Hello.", voice=voice).duration > 0
        listed, spelt = (tts.generate("Hello.", voice=name, seed=1).samples for name in ("high", "HIGH"))
        assert (listed == spelt).all()
    with RealProvider(fake_spec(capabilities=frozenset({"voices"}))) as tts, pytest.raises(errors.VoiceNotFound):
        tts.generate("Hello.", voice=voice)
