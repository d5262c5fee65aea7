"""Model files: where a name points, whether it is a GGUF file, and the context that it was trained for.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import importlib.util
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name

PROVIDER = "local"
"""The part before the slash in `local/FILE.gguf`."""

SUFFIX = ".gguf"
CONTEXT_VARIABLE = "LLAMA_ARG_CTX_SIZE"
"""llama.cpp's own environment variable for the size of the context in tokens."""

DEFAULT_CONTEXT = 16_384
"""Tokens: a larger context is not used unless asked for, because its cache takes gigabytes of memory."""

_MAGIC = b"GGUF"
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_UNSIGNED = "BHIQ"
_LIMIT = 1 << 20
_INSTALL = "pip install 'llmrepl[local]'"


def locate(name: str, cwd: Path, home: Path) -> Path:
    """The absolute path that `name` stands for; `~` is the user's home, a relative name is below `cwd`."""
    if name == "~" or name.startswith("~/"):
        return home / name[2:]
    return cwd / name


def check_file(path: Path) -> None:
    """Raise UsageError, with what to do, unless `path` is a readable file that begins as GGUF files do."""
    shown = escape_name(str(path))
    try:
        if path.is_dir():
            raise UsageError(f"{shown} is a directory, not a model file.", f"name a {SUFFIX} file in it")
        if path.exists() and not path.is_file():
            raise UsageError(f"{shown} is not a regular file.", f"name a {SUFFIX} file")
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError:
        raise UsageError(f"There is no model file {shown}.", "check the path after local/") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a usable path"
        raise UsageError(
            f"Cannot read the model file {shown}: {reason}.", "check the path and its permissions"
        ) from None
    if magic != _MAGIC:
        raise UsageError(f"{shown} is not a GGUF model file.", "name a model in llama.cpp's GGUF format")


def check_installed() -> None:
    """Raise UsageError, with what to install, if llama.cpp is not installed. Does not load it."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise missing_extra()


def missing_extra() -> UsageError:
    """The error for an installation without llama.cpp."""
    return UsageError("Running model files needs the extra 'local'.", f"install it with {_INSTALL}")


def context_size(path: Path, environ: Mapping[str, str]) -> int | None:
    """The context in tokens to run the model with; None if neither the file nor the user says one.

    What the user asks for in LLAMA_ARG_CTX_SIZE counts, else what the model was trained for, up to DEFAULT_CONTEXT.
    """
    asked = environ.get(CONTEXT_VARIABLE, "").strip()
    if asked.isascii() and asked.isdigit() and int(asked):
        return int(asked)
    try:
        with path.open("rb") as file:
            trained = _trained_context(file)
    except (OSError, ValueError, struct.error):
        return None
    return min(trained, DEFAULT_CONTEXT) if trained else None


def _trained_context(file: BinaryIO) -> int | None:
    """`ARCHITECTURE.context_length` in the metadata, which stands before the tokenizer's long lists."""
    if file.read(4) != _MAGIC:
        return None
    _, _, pairs = struct.unpack("<IQQ", file.read(20))
    for _ in range(min(pairs, 4096)):
        key = _text(file)
        value = _value(file, *struct.unpack("<I", file.read(4)))
        if key.endswith(b".context_length"):
            return value if isinstance(value, int) and value > 0 else None
        if key.startswith(b"tokenizer."):
            break
    return None


def _text(file: BinaryIO) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LIMIT:
        raise ValueError("a text that is too long")
    return file.read(length)


def _value(file: BinaryIO, kind: int) -> object:
    """One value; of texts and arrays only the place after them matters."""
    if kind == _TEXT:
        return _text(file)
    if kind == _ARRAY:
        inner, length = struct.unpack("<IQ", file.read(12))
        if length > _LIMIT:
            raise ValueError("an array that is too long")
        if inner in _NUMBERS:
            file.seek(struct.calcsize(_NUMBERS[inner]) * length, os.SEEK_CUR)
        else:
            for _ in range(length):
                _value(file, inner)
        return None
    if kind not in _NUMBERS:
        raise ValueError("a kind of value that is not known")
    code = _NUMBERS[kind]
    (number,) = struct.unpack(f"<{code}", file.read(struct.calcsize(code)))
    return number if code in _UNSIGNED else None
