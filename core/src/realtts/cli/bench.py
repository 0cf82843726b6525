"""``realtts bench``: how fast a provider is here, against its plain path and against what is possible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.bench_load import add_load, check_load_arguments, read_load, with_long_texts
from realtts.cli.bench_quality import check_quality, listen_if_asked
from realtts.cli.parsing import add_command, add_model, add_precision
from realtts.cli.record_files import check_record_file, print_record, write_record

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from realtts.bench import Load, Workload
    from realtts.cli.parsing import Parser
    from realtts.contract.spec import ProviderSpec

__all__ = ["add_parser", "add_workload", "check_weights", "find_spec", "read_settings", "read_workload"]


def add_parser(commands: Any) -> None:
    """Add ``realtts bench``."""
    parser = add_command(
        commands,
        "bench",
        _bench,
        """Time a provider: optimized against plain, and both against what the machine can do.

        Both variants are loaded in one process and take turns, so that a machine that slows down slows both. A provider
        in an environment of its own is timed there.

        Examples:

            realtts bench espeak
            realtts bench chatterbox --random-weights full --tokens 200 --json a.json
            realtts bench qwen3 --text-set multilingual --repeats 10 --plot qwen3.png
            realtts bench espeak --load --rate 5 --duration 20
            realtts bench --url http://127.0.0.1:8000/v1 --model tts-1 --label ours
            realtts bench hibari --quality
            realtts bench --compare a.json b.json
        """,
    )
    add_workload(parser)
    group = parser.add_argument_group("measurement")
    group.add_argument("--repeats", type=int, default=5, metavar="N", help="timed repeats of each text (default: 5)")
    group.add_argument(
        "--variant",
        default="both",
        metavar="WHICH",
        help="optimized, plain or both (default: both)",
    )
    add_precision(group)
    group.add_argument("--stream", action="store_true", help="stream instead of waiting for the whole audio")
    group.add_argument(
        "--quality", action="store_true", help="listen to both variants afterwards: word errors beside the times"
    )
    group.add_argument("--batch", type=int, default=1, metavar="N", help="speak each text N times in one batch")
    add_load(parser)
    group = parser.add_argument_group("output")
    group.add_argument("--label", default="", help="a name for the record")
    group.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the record as one line of JSON; no FILE: print it"
    )
    group.add_argument("--plot", type=Path, metavar="FILE", help="draw RTF and stages into a .png, .svg or .pdf file")
    group.add_argument("--profile", type=Path, metavar="FOLDER", help="profile one request with torch afterwards")
    group.add_argument("--compare", nargs=2, type=Path, metavar="FILE", help="compare two records; times nothing")


def add_workload(parser: Parser) -> None:
    """Add the arguments that ``bench`` and ``verify`` share."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="provider; default: see 'realtts default'")
    group = parser.add_argument_group("speech")
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument("--text", help="speak this text")
    chosen.add_argument("--text-set", metavar="SET", help="short, long or multilingual (default: short)")
    group.add_argument("--tokens", type=int, metavar="N", help="decode N tokens for a text of mean length, end or not")
    group.add_argument("-v", "--voice", help="audio file to clone, saved voice, or built-in voice")
    group.add_argument("-l", "--language", metavar="TAG", help="language of --text")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of every request (default: 0)")
    group.add_argument("-O", "--option", action="append", default=[], metavar="NAME=VALUE", help="a provider's option")
    group = parser.add_argument_group("model")
    add_model(group)
    group.add_argument("--random-weights", metavar="SIZE", help="tiny or full: random weights instead of a model")
    group.add_argument("--device", help="auto, cpu, mps, cuda or cuda:N")


def read_workload(arguments: argparse.Namespace, spec: ProviderSpec, **changes: Any) -> Workload:
    """Return the workload that the arguments name.

    Raises:
        InvalidOption: An argument is out of range.
    """
    from realtts.bench import Text, Workload
    from realtts.cli.option_values import parse_options

    changes.update(
        tokens=arguments.tokens,
        seed=arguments.seed,
        voice=arguments.voice,
        options=parse_options(arguments.option, spec),
    )
    if arguments.text is not None:
        return Workload((Text(arguments.text, arguments.language),), **changes)
    return Workload.of_set(arguments.text_set or "short", **changes)


def read_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return keywords for `RealProvider`, without those that were not given."""
    values = {
        key: getattr(arguments, key, None) for key in ("model", "configuration", "device", "dtype", "precision_policy")
    }
    return {key: value for key, value in values.items() if value is not None}


def check_weights(arguments: argparse.Namespace) -> None:
    """Check that random weights come without a model or a configuration.

    Raises:
        InvalidOption: Both are given.
    """
    from realtts.errors import InvalidOption

    if arguments.random_weights is None:
        return
    for name in ("model", "configuration"):
        if getattr(arguments, name) is not None:
            what = f"--{name} and --random-weights are both given"
            raise InvalidOption(what, who="realtts", fix="give one of the two")


def _bench(arguments: argparse.Namespace) -> None:
    if arguments.compare:
        _compare(arguments)
        return
    check_load_arguments(arguments)
    if arguments.load:
        _load(arguments)
        return
    from realtts.bench import run_bench

    spec = find_spec(arguments)
    workload = read_workload(arguments, spec, repeats=arguments.repeats, stream=arguments.stream, batch=arguments.batch)
    _check_outputs(arguments, spec)
    check_weights(arguments)
    variants = ("plain", "optimized") if arguments.variant == "both" else (arguments.variant,)
    settings, random_weights = read_settings(arguments), arguments.random_weights
    check_quality(arguments)
    record = run_bench(
        spec.name,
        workload,
        variants=variants,
        settings=settings,
        label=arguments.label,
        random_weights=random_weights,
        tell=console.err,
    )
    listen_if_asked(record, spec, workload, settings, asked=arguments.quality)
    _put_out(record, arguments)  # before the profile, which may fail
    if arguments.profile:
        from realtts.bench.profiling import write_profiles

        timed = tuple(record["variants"])
        for path in write_profiles(
            spec.name, workload, arguments.profile, variants=timed, settings=settings, random_weights=random_weights
        ):
            console.err(f"wrote {path}")


def _load(arguments: argparse.Namespace) -> None:
    from realtts.bench import run_load

    load = read_load(arguments)
    if arguments.url is not None:
        _put_out(_server_load(arguments, load), arguments)
        return
    spec = find_spec(arguments)
    workload = read_workload(arguments, spec)
    if arguments.text is None and arguments.text_set is None:
        workload = with_long_texts(workload)
    _check_outputs(arguments, spec)
    check_weights(arguments)
    record = run_load(
        spec.name,
        workload,
        load,
        voices=arguments.voices or (),
        variant="optimized" if arguments.variant == "both" else arguments.variant,
        settings=read_settings(arguments),
        label=arguments.label,
        random_weights=arguments.random_weights,
        tell=console.err,
    )
    _put_out(record, arguments)


def _server_load(arguments: argparse.Namespace, load: Load) -> dict[str, Any]:
    """Put a load on a server."""
    from realtts.bench import Text, Workload
    from realtts.bench.load_server import run_server_load
    from realtts.bench.plot import check_plot

    if arguments.text is not None:
        workload = Workload((Text(arguments.text, arguments.language),))
    else:
        workload = Workload.of_set(arguments.text_set or "short")
    if arguments.json not in {None, "-"}:
        check_record_file(Path(arguments.json))
    if arguments.plot:
        check_plot(arguments.plot)
    voices = arguments.voices or ([arguments.voice] if arguments.voice else [])
    return run_server_load(
        arguments.url, arguments.model, workload, load, voices=voices, label=arguments.label, tell=console.err
    )


def _check_outputs(arguments: argparse.Namespace, spec: ProviderSpec) -> None:
    """Check, before the first model is loaded, that every output can be written."""
    from realtts.bench.plot import check_plot
    from realtts.bench.profiling import check_profile

    if arguments.json not in {None, "-"}:
        check_record_file(Path(arguments.json))
    if arguments.plot:
        check_plot(arguments.plot)
    if arguments.profile:
        check_profile(spec, arguments.profile)


def _put_out(record: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    from realtts.cli.bench_tables import show_record
    from realtts.cli.load_tables import show_load

    if arguments.json == "-":
        print_record(record)
    else:
        (show_load if "load" in record else show_record)(record)
    if arguments.json not in {None, "-"}:
        write_record(record, Path(arguments.json))
    if arguments.plot:
        from realtts.bench.plot import plot_records

        plot_records([record], arguments.plot)
    for warning in record["warnings"]:
        console.warn(warning)


def find_spec(arguments: argparse.Namespace) -> ProviderSpec:
    """Return the provider that the arguments name.

    Raises:
        PluginError: There is none.
    """
    from realtts import RealProvider

    with RealProvider(arguments.name) as tts:  # never loaded
        return tts.spec


def _compare(arguments: argparse.Namespace) -> None:
    from realtts.bench import compare_records, load_record
    from realtts.cli.bench_tables import show_comparison

    records = [load_record(path) for path in arguments.compare]
    if arguments.plot:
        from realtts.bench.plot import plot_records

        plot_records(records, arguments.plot)
    comparison = compare_records(*records)
    if arguments.json == "-":
        print_record(comparison)
    elif arguments.json:
        write_record(comparison, Path(arguments.json))
    else:
        show_comparison(comparison, [record["label"] or path.name for record, path in zip(records, arguments.compare,
                                                                                     strict=True)])  # fmt: skip
    for warning in comparison["warnings"]:
        console.warn(warning)
