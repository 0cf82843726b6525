"""The C interface of espeak-ng, as in ``speak_lib.h`` of 1.52: structures, constants and prototypes."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_long, c_short, c_size_t, c_ubyte, c_uint, c_void_p, c_wchar_p

__all__ = [
    "CHARS_UTF8",
    "END_PAUSE",
    "EVENT_SENTENCE",
    "EVENT_WORD",
    "INITIALIZE_DONT_EXIT",
    "OUTPUT_SYNCHRONOUS",
    "PHONEMES",
    "PITCH",
    "PITCH_RANGE",
    "PUNCTUATION",
    "PUNCTUATION_SOME",
    "RATE",
    "SSML",
    "VOLUME",
    "WORD_GAP",
    "Event",
    "SynthCallback",
    "UriCallback",
    "VoiceRecord",
    "declare",
]

OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000

CHARS_UTF8 = 1
SSML = 0x10
PHONEMES = 0x100
END_PAUSE = 0x1000

RATE, VOLUME, PITCH, PITCH_RANGE, PUNCTUATION, WORD_GAP = 1, 2, 3, 4, 5, 7
PUNCTUATION_SOME = 2

EVENT_WORD = 1
EVENT_SENTENCE = 2


class _EventId(ctypes.Union):
    _fields_ = (("number", c_int), ("name", c_char_p), ("string", ctypes.c_char * 8))


class Event(ctypes.Structure):
    """The structure ``espeak_EVENT``: positions are code points counted from 1, samples count from the call's start."""

    _fields_ = (
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", _EventId),
    )


class VoiceRecord(ctypes.Structure):
    """The structure ``espeak_VOICE``: ``languages`` is a list of (priority byte, C string), ended by a zero byte."""

    _fields_ = (
        ("name", c_char_p),
        ("languages", c_void_p),
        ("identifier", c_char_p),
        ("gender", c_ubyte),
        ("age", c_ubyte),
        ("variant", c_ubyte),
        ("xx1", c_ubyte),
        ("score", c_int),
        ("spare", c_void_p),
    )


SynthCallback = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(Event))
UriCallback = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_char_p)


def declare(library: ctypes.CDLL) -> None:
    """Give the functions that are used their types; ctypes would guess int for pointers otherwise.

    Raises:
        AttributeError: The library lacks one of them, so it is not espeak-ng 1.52 or newer.
    """
    for name, result, arguments in (
        ("espeak_Initialize", c_int, (c_int, c_int, c_char_p, c_int)),
        ("espeak_Info", c_char_p, (POINTER(c_char_p),)),
        ("espeak_ListVoices", POINTER(POINTER(VoiceRecord)), (POINTER(VoiceRecord),)),
        ("espeak_SetSynthCallback", None, (SynthCallback,)),
        ("espeak_SetUriCallback", None, (UriCallback,)),
        ("espeak_SetVoiceByName", c_int, (c_char_p,)),
        ("espeak_SetVoiceByFile", c_int, (c_char_p,)),
        ("espeak_SetParameter", c_int, (c_int, c_int, c_int)),
        ("espeak_SetPunctuationList", c_int, (c_wchar_p,)),
        ("espeak_ng_SetRandSeed", None, (c_long,)),
        (
            "espeak_Synth",
            c_int,
            (c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, POINTER(c_uint), c_void_p),
        ),
        ("espeak_TextToPhonemes", c_char_p, (POINTER(c_void_p), c_int, c_int)),
        ("espeak_Terminate", c_int, ()),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
