"""A decoder of the Llama and GPT-2 families for speech language models: static KV, packed weights, graphs.

`Decoder` is the network, `KVCache` its memory, `RowLoop` the loop around both: it embeds, decodes, samples and freezes
finished rows without asking the host, as one CUDA graph where graphs are on; its rows come and go while it runs.
`serve_rows` is the hook `generate_continuous` around it.
"""

from realtts.accel.decoder.admission import Admission
from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.budget import affordable_places
from realtts.accel.decoder.cache import KVCache
from realtts.accel.decoder.chunks import fit_chunk
from realtts.accel.decoder.config import DecoderConfig, Llama3Scaling, Rope
from realtts.accel.decoder.drawings import Drawing, ServedRow
from realtts.accel.decoder.network import Decoder, Precision, Taps
from realtts.accel.decoder.row_loop import RowLoop
from realtts.accel.decoder.rows import RowBlock
from realtts.accel.decoder.served import ServedLoop
from realtts.accel.decoder.serving import Speaker, serve_rows
from realtts.accel.decoder.step_queue import sync_interval

__all__ = [
    "Admission",
    "Buckets",
    "Decoder",
    "DecoderConfig",
    "Drawing",
    "KVCache",
    "Llama3Scaling",
    "Precision",
    "Rope",
    "RowBlock",
    "RowLoop",
    "ServedLoop",
    "ServedRow",
    "Speaker",
    "Taps",
    "affordable_places",
    "fit_chunk",
    "serve_rows",
    "sync_interval",
]
