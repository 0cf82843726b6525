"""A decoder of the Llama and GPT-2 families for speech language models: static KV, packed weights, graphs.

`Decoder` is the network, `KVCache` its memory, `DecodeLoop` the loop around both: it embeds, decodes, samples and
freezes finished rows without asking the host, as one CUDA graph where graphs are on. `RowLoop` does the same for rows
that come and go while it runs, and `serve_rows` is the hook `generate_continuous` around it.
"""

from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.budget import affordable_places
from realtts.accel.decoder.cache import KVCache
from realtts.accel.decoder.chunks import fit_chunk
from realtts.accel.decoder.config import DecoderConfig, Llama3Scaling, Rope
from realtts.accel.decoder.drawings import Admission, Drawing, ServedRow
from realtts.accel.decoder.loop import Block, DecodeLoop, Prompt
from realtts.accel.decoder.loop_pool import LoopPool, counted, sync_interval
from realtts.accel.decoder.network import Decoder, Precision, Taps
from realtts.accel.decoder.row_loop import RowLoop
from realtts.accel.decoder.rows import RowBlock
from realtts.accel.decoder.served import ServedLoop
from realtts.accel.decoder.serving import Speaker, serve_rows

__all__ = [
    "Admission",
    "Block",
    "Buckets",
    "DecodeLoop",
    "Decoder",
    "DecoderConfig",
    "Drawing",
    "KVCache",
    "Llama3Scaling",
    "LoopPool",
    "Precision",
    "Prompt",
    "Rope",
    "RowBlock",
    "RowLoop",
    "ServedLoop",
    "ServedRow",
    "Speaker",
    "Taps",
    "affordable_places",
    "counted",
    "fit_chunk",
    "serve_rows",
    "sync_interval",
]
