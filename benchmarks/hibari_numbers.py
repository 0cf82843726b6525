"""Accounts for every digit of hundreds of generated sentences with numbers, signs and units, as hibari reads them.

Run it from the root of the repository, where hibari is installed::

    python benchmarks/hibari_numbers.py --sentences 500

Each digit must be in a word with a sound, or be named as unread, with the core's normalizer and without it. Nothing is
spoken. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json

from realtts.testing.numbers import number_sentences
from realtts_hibari.testing import load_phrases, lost_digits


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    phrases = load_phrases()
    lost: dict[str, int] = {}
    for normalize in ("auto", "off"):
        lost[normalize] = 0
        for text in number_sentences(arguments.sentences, arguments.seed):
            missing = lost_digits(text, phrases, normalize=normalize)
            if missing:
                lost[normalize] += 1
                print(f"{normalize}: {text!r} loses {missing}")
    print(json.dumps({"provider": "hibari", "sentences": arguments.sentences, "seed": arguments.seed, "lost": lost}))


if __name__ == "__main__":
    main()
