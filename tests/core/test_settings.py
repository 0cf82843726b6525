"""Settings: keyword, then environment, then file, then the hardware; unknown names are rejected."""

from pathlib import Path

import pytest

from realtts import RealProvider, Settings, SettingsError
from realtts.settings_sources import cache_dir, data_dir, resolve_settings
from realtts.testing import fake_spec
from realtts.voices import VoiceStore


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No settings from outside: an empty folder, no user configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def write(path, text):
    """A configuration file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_each_layer_wins_over_the_one_below(tmp_path):
    """Keyword over settings= over environment over working folder over user folder over default."""
    asked = {"environ": {}}
    assert resolve_settings(**asked).settings.queue_size == 64
    write(tmp_path / "config/realtts/realtts.toml", "queue_size = 1\nstream_buffer = 1\nmodel = 'user'")
    assert resolve_settings(**asked).settings.queue_size == 1
    write(tmp_path / "realtts.toml", "queue_size = 2\nstream_buffer = 2")
    assert resolve_settings(**asked).settings.queue_size == 2
    asked["environ"] = {"REALTTS_QUEUE_SIZE": "3"}
    assert resolve_settings(**asked).settings.queue_size == 3
    asked["settings"] = Settings(queue_size=4)
    assert resolve_settings(**asked).settings.queue_size == 4
    asked["overrides"] = {"queue_size": 5, "stream_buffer": None}
    layers = resolve_settings(**asked)
    assert (layers.settings.queue_size, layers.settings.stream_buffer, layers.settings.model) == (5, 2, "user")
    assert layers.sources["queue_size"] == "keyword queue_size="
    assert layers.sources["stream_buffer"] == "realtts.toml"


def test_provider_table_wins_in_its_file(tmp_path):
    """[providers.NAME] applies to that provider only."""
    write(tmp_path / "realtts.toml", "dtype = 'fp16'\n[providers.f5]\ndtype = 'bf16'\n")
    assert resolve_settings("f5", environ={}).settings.dtype == "bfloat16"
    assert resolve_settings("chatterbox", environ={}).settings.dtype == "float16"


def test_config_file_can_be_named(tmp_path):
    """REALTTS_CONFIG replaces the two usual places; one that is missing is an error."""
    write(tmp_path / "realtts.toml", "queue_size = 2")
    write(tmp_path / "other.toml", "stream_buffer = 3")
    named = resolve_settings(environ={"REALTTS_CONFIG": str(tmp_path / "other.toml")}).settings
    assert (named.queue_size, named.stream_buffer) == (64, 3)
    with pytest.raises(SettingsError, match="no such file"):
        resolve_settings(environ={"REALTTS_CONFIG": "nowhere.toml"})


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("CHATTERBOX_DTYPE", "float16", "dtype", "float16"),
        ("CHATTERBOX_COMPILATION", "true", "compile", True),
        ("CHATTERBOX_CPU_OFFLOAD", "1", "cpu_offload", True),
        ("DISABLE_OPTIMIZATION", "true", "optimize", False),
        ("DISABLE_OPTIMIZATION", "false", "optimize", True),
        ("ENABLE_TORCH_COMPILE", "false", "compile", False),
        ("ENABLE_CUDNN_BENCHMARK", "off", "cudnn_benchmark", False),
        ("TORCH_MATMUL_PRECISION", "highest", "matmul_precision", "highest"),
    ],
)
def test_variables_of_the_older_documents_work(variable, value, field, expected):
    """They mean what they meant there."""
    layers = resolve_settings("chatterbox", environ={variable: value})
    assert getattr(layers.settings, field) == expected
    assert variable in layers.sources[field]


def test_switching_compilation_off_means_graphs_too():
    """The document's variable is about both; switching it on leaves graphs to the machine."""
    off = resolve_settings("chatterbox", environ={"CHATTERBOX_COMPILATION": "false"})
    assert (off.settings.compile, off.settings.cuda_graphs) == (False, False)
    assert "CHATTERBOX_COMPILATION" in off.sources["cuda_graphs"]
    on = resolve_settings("chatterbox", environ={"CHATTERBOX_COMPILATION": "true"})
    assert (on.settings.compile, on.settings.cuda_graphs) == (True, "auto")


def test_older_variables_give_way(tmp_path):
    """One of another provider is ignored, one of this provider beats the general one, REALTTS_ beats both."""
    assert resolve_settings("f5", environ={"CHATTERBOX_DTYPE": "float16"}).settings.dtype == "auto"
    environ = {"ENABLE_TORCH_COMPILE": "false", "CHATTERBOX_COMPILATION": "true"}
    assert resolve_settings("chatterbox", environ=environ).settings.compile is True
    assert resolve_settings("f5", environ=environ).settings.compile is False
    environ["REALTTS_COMPILE"] = "auto"
    assert resolve_settings("chatterbox", environ=environ).settings.compile == "auto"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("fp32", "float32"), ("BF16", "bfloat16"), ("half", "float16"), ("torch.bfloat16", "bfloat16"), ("auto", "auto")],
)
def test_dtype_by_its_usual_names(given, expected):
    """Short names and torch's own are understood, without torch."""
    assert Settings(dtype=given).dtype == expected


WRONG = {
    "keyword": ({"overrides": {"queue_sise": 3}}, "did you mean 'queue_size'", "keyword queue_sise="),
    "environment": ({"environ": {"REALTTS_DEVIEC": "cpu"}}, "did you mean 'device'", "REALTTS_DEVIEC"),
    "range": ({"overrides": {"queue_size": 0}}, "greater than or equal to 1", "keyword queue_size="),
    "type": ({"environ": {"REALTTS_STRICT": "perhaps"}}, "bool", "REALTTS_STRICT"),
    "device": ({"overrides": {"device": "gpu"}}, "match", "keyword device="),
    "dtype": ({"overrides": {"dtype": "int3"}}, "int3", "keyword dtype="),
    "not finite": ({"overrides": {"queue_timeout_s": float("inf")}}, "finite", "queue_timeout_s"),
    "threads": ({"overrides": {"threads": 0}}, "threads", "threads"),
    "invert": ({"environ": {"DISABLE_OPTIMIZATION": "maybe"}}, "maybe", "DISABLE_OPTIMIZATION"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_wrong_setting_says_where_it_stands(case):
    """The error names the place, the value and what is allowed."""
    arguments, what, who = WRONG[case]
    with pytest.raises(SettingsError, match=what) as caught:
        resolve_settings(**{"environ": {}, **arguments})
    assert who in caught.value.who
    assert caught.value.fix


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("queue_size = ", "cannot be read"),
        ("queue_sise = 3", "did you mean 'queue_size'"),
        ("[providers.f5]\nqueue_sise = 3", "did you mean 'queue_size'"),
        ("providers = 3", "one table per provider"),
        ("[providers]\nf5 = 3", "one table per provider"),
    ],
    ids=["syntax", "unknown", "unknown in a table", "no table", "no tables"],
)
def test_wrong_file_is_named(tmp_path, content, what):
    """Even a misspelt name in another provider's table."""
    write(tmp_path / "realtts.toml", content)
    with pytest.raises(SettingsError, match=what) as caught:
        resolve_settings("chatterbox", environ={})
    assert "realtts.toml" in caught.value.who


def test_settings_are_frozen():
    """They can be shared between threads."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().strict = True


def test_facade_takes_all_layers(tmp_path, monkeypatch):
    """RealProvider's None lets environment and file speak."""
    monkeypatch.setenv("REALTTS_STRICT", "true")
    write(tmp_path / "realtts.toml", "queue_size = 2\n[providers.fake]\nstream_buffer = 3\n")
    provider = RealProvider(fake_spec(), strict=None, threads=2)
    settings = provider.settings
    assert (settings.strict, settings.queue_size, settings.stream_buffer, settings.threads) == (True, 2, 3, 2)
    assert RealProvider(fake_spec(), strict=False).settings.strict is False
    with pytest.raises(SettingsError, match="strickt"):
        RealProvider(fake_spec(), strickt=True)


def test_data_folder(monkeypatch, tmp_path):
    """By setting, by environment, else the user's own."""
    assert data_dir(Settings(data_dir="/data/tts")) == Path("/data/tts")
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "there"))
    assert data_dir() == tmp_path / "there"
    monkeypatch.delenv("REALTTS_DATA_DIR")
    assert data_dir().name == "realtts"


def test_data_folder_of_the_file(tmp_path, monkeypatch):
    """What is asked for without settings goes by the file, too: saved voices, downloads, measurements."""
    monkeypatch.delenv("REALTTS_DATA_DIR", raising=False)
    write(tmp_path / "realtts.toml", f"data_dir = '{tmp_path / 'there'}'\n")
    assert data_dir() == VoiceStore().folder.parent == tmp_path / "there"
    assert cache_dir() == tmp_path / "there" / "cache"


@pytest.mark.parametrize("values", [{"treads": 2}, {"threads": 0}], ids=["name", "value"])
def test_ready_object_is_checked(values):
    """By the same error as keywords are."""
    with pytest.raises(SettingsError, match="threads") as caught:
        Settings(**values)
    assert caught.value.who == "Settings"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("variable", "table"),
    [
        ("REALTTS_SERVE_PORT", "[serve]\nport = 8123\n[serve.aliases]\nx = 'espeak'"),
        ("REALTTS_SERVE_MODELS", "[serve]\nproviders = ['espeak']"),
        ("REALTTS_SERVE_ANYTHING", "[serve]\nanything = 1"),
        ("REALTTS_WYOMING_URI", "[wyoming]\nuri = 'tcp://0.0.0.0:10200'"),
        ("REALTTS_WYOMING_DRAIN_S", "[wyoming]"),
    ],
)
def test_settings_of_servers_are_theirs(tmp_path, monkeypatch, variable, table):
    """They stand in the same file and the same environment, where servers check them and models are made."""
    write(tmp_path / "realtts.toml", f"queue_size = 7\n{table}\n")
    monkeypatch.setenv(variable, "1")
    with RealProvider(fake_spec()) as tts:
        assert tts.settings.queue_size == 7


@pytest.mark.parametrize(
    "variable", ["REALTTS_SERVED_PORT", "REALTTS_SERVE", "REALTTS_SERVERS_URI", "REALTTS_WYOMINGS"]
)
def test_what_is_no_servers_is_unknown(variable):
    """A name that begins alike is not left out."""
    with pytest.raises(SettingsError, match="unknown setting"):
        resolve_settings(environ={variable: "1"})
