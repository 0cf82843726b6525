r"""Accounts for every character of thousands of texts, provider by provider, before any model.

Run it from the root of the repository, in the environment of a provider, with Babel for the words of CLDR::

    python benchmarks/text_account.py espeak --texts 2000
    python benchmarks/text_account.py chatterbox --texts 2000 --model folder/with/its/vocabulary

Each character must be said, or silent by its class, or named as unread. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from babel import Locale, UnknownLocaleError

from realtts.errors import UnknownLanguage, UnspeakableText
from realtts.registry.providers import get_spec
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts.testing.texts import PLAIN, account_of, texts_of
from realtts.text.edited import EditedText
from realtts.text.frontend import prepare, steps_without

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint, ProviderSpec


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("provider")
    parser.add_argument("--texts", type=int, default=2000, help="for each language")
    parser.add_argument("--model")
    parser.add_argument("--languages", nargs="*", help="codes; all that the provider speaks if left out")
    arguments = parser.parse_args()
    spec = get_spec(arguments.provider)
    checkpoint = resolve_checkpoint(arguments.model, spec)
    total: Counter[str] = Counter()
    for language in arguments.languages or PLAIN:
        if not spec.languages or language in spec.languages:
            total += _counted(spec, checkpoint, language, arguments.texts)
    about: dict[str, Any] = {"provider": arguments.provider, **total, "seconds_of_1_mb": round(_speed(), 3)}
    print(json.dumps(about))


def _counted(spec: ProviderSpec, checkpoint: Checkpoint | None, language: str, texts: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for text in texts_of(language, texts, words_of(language)):
        try:
            account = account_of(spec, checkpoint, text, language if spec.languages else None)
        except UnspeakableText:
            counted["refused"] += 1
            continue
        except UnknownLanguage as error:  # of a model that speaks fewer, or without the package that prepares it
            print(f"{language}: {error}", flush=True)
            return counted
        if account is None:
            print(f"{language}: the vocabulary, or what prepares the language, is not at hand", flush=True)
            return counted
        counted.update(texts=1, characters=len(text), unread=len(account.unread), lost=len(account.lost))
        if account.lost:
            print(f"{language} {text!r}: {[text[at] for at in account.lost]}")
    print(language, dict(counted), flush=True)
    return counted


def words_of(language: str) -> list[str]:
    """Return the words of CLDR's names of languages, countries and units in a language."""
    try:
        locale = Locale.parse(language)
    except UnknownLocaleError:
        return []
    names = [*locale.languages.values(), *locale.territories.values(), *locale.currencies.values()]
    return sorted({word for name in names for word in name.split()})


def _speed() -> float:
    """Return the seconds that the steps take for 1 MB of text, a part of which every step changes."""
    text = (
        "Ｔhe quick bro\u00adwn fox’s cafe\u0301 cost −5\u00a0000 €. Plain words follow, and more of them come. "
        * 10_000
    )
    text = text.encode()[:1_000_000].decode(errors="ignore")
    started = time.process_time()
    prepare(EditedText(text), "en", steps_without())
    return time.process_time() - started


if __name__ == "__main__":
    main()
