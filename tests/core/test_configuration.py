"""What the files of somebody's own weights cannot tell is said in the call: `configuration=`."""

import pytest

from realtts import Checkpoint, InvalidPlugin, RealProvider, SettingsError, UnknownCheckpoint
from realtts.errors import CheckpointMismatch
from realtts.kit.reading import configuration_of, said_configuration
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts.testing import fake_spec

SPEC = fake_spec(
    checkpoints=(Checkpoint("v1-base", "owner/both", files=("model",)),),
    configurations=("v1-base", "v0-base", "Theirs_V0"),
)


class Known:
    """A configuration of a plugin."""

    def __init__(self, name, source, upstream=""):
        self.name, self.source, self.upstream = name, source, upstream


CONFIGURATIONS = {
    "v1-base": Known("v1-base", "owner/both"),
    "v0-base": Known("v0-base", "owner/both", "Theirs_V0"),
}


@pytest.mark.parametrize("given", ["v0-base", "V0_BASE", " v0-base ", "theirs-v0", "Theirs_V0"])
@pytest.mark.parametrize("model", ["folder", "hub"])
def test_it_travels_with_weights_of_the_users_own(tmp_path, given, model):
    """Any spelling; the plugin finds what it stands for."""
    checkpoint = resolve_checkpoint(tmp_path if model == "folder" else "somebody/finetune", SPEC, given)
    assert said_configuration(checkpoint, CONFIGURATIONS).name == "v0-base"
    with RealProvider(SPEC, model=str(tmp_path), configuration=given) as tts:
        assert tts.settings.configuration == given


def test_it_chooses_among_those_of_one_repository():
    """At another revision, where the name of the checkpoint says nothing."""
    assert configuration_of(resolve_checkpoint("owner/both@v2", SPEC), CONFIGURATIONS).name == "v1-base"
    assert configuration_of(resolve_checkpoint("owner/both@v2", SPEC, "v0-base"), CONFIGURATIONS).name == "v0-base"
    assert configuration_of(resolve_checkpoint("some/other", SPEC, "v0-base"), CONFIGURATIONS) is None


@pytest.mark.parametrize("given", ["v2-base", "v0", "", "base", "../v0-base"])
def test_a_wrong_one_is_refused_before_any_work(tmp_path, given):
    """With those that there are."""
    with pytest.raises(UnknownCheckpoint, match="no configuration") as caught:
        RealProvider(SPEC, model=tmp_path, configuration=given)
    assert "v0-base" in caught.value.fix


def test_it_is_for_weights_of_ones_own():
    """What the spec lists is known: the same name is no fault, another is."""
    assert resolve_checkpoint("v1-base", SPEC, "v1-base") == SPEC.checkpoints[0]
    for model in (None, "v1-base", "owner/both"):
        with pytest.raises(UnknownCheckpoint, match="no weights of your own"):
            resolve_checkpoint(model, SPEC, "v0-base")
    with pytest.raises(UnknownCheckpoint, match="no configurations to choose from"):
        resolve_checkpoint(None, fake_spec(), "v0-base")


def test_environment_and_types(monkeypatch, tmp_path):
    """It is a setting as any other."""
    monkeypatch.setenv("REALTTS_CONFIGURATION", "v0-base")
    with RealProvider(SPEC, model=tmp_path) as tts:
        assert tts.settings.configuration == "v0-base"
    with pytest.raises(SettingsError):
        RealProvider(SPEC, model=tmp_path, configuration=3)
    with pytest.raises(InvalidPlugin, match="configurations"):
        fake_spec(configurations=(3,))
    with pytest.raises(CheckpointMismatch, match="there is no configuration"):
        said_configuration(Checkpoint("x", path=tmp_path, configuration="v9"), CONFIGURATIONS)
