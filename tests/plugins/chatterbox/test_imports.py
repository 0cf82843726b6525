"""What the optimized variant imports: nothing of upstream's package until a voice is cloned."""

from __future__ import annotations

import subprocess
import sys

import pytest

SPEAKS = """
import sys
from realtts import RealProvider
with RealProvider("chatterbox", model=sys.argv[1], isolation="never", device="cpu", strict=True) as tts:
    assert len(tts.generate("Hello there.", seed=1, max_new_tokens=20, n_cfm_timesteps=1).samples)
print(*sys.modules)
"""

NEEDLESS = {"chatterbox", "perth", "librosa", "numba", "scipy", "s3tokenizer", "diffusers", "torchaudio", "sklearn"}


@pytest.mark.full
@pytest.mark.parametrize("kind", ["english", "multilingual"])
def test_speaking_with_the_built_in_voice_imports_nothing_of_upstream(folders, kind):
    """Nor what its package and the watermark's import, which takes longer than the load."""
    done = subprocess.run(
        [sys.executable, "-c", SPEAKS, str(folders(kind))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not NEEDLESS & {name.partition(".")[0] for name in done.stdout.split()}
