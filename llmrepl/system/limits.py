"""Maximum sizes of everything that is read from files, each with its reason.

A limit keeps a small or endless input from taking much memory or time. Input beyond it is refused and left unchanged.
"""

from __future__ import annotations

MAX_SESSION_BYTES = 1 << 30
"""Size of an uncompressed session file, which is read at once; 50,000 turns take about 50 MB."""

SMALL_UNPACKED_BYTES = 16 << 20
"""Any gzip file may unpack to this size: ten times that of a long conversation."""

MAX_PACKING_RATIO = 64
"""Compression ratio of a larger gzip file. Text reaches about 10, gzip at most 1,032.

Archives that would exceed it are stored uncompressed.
"""

MAX_VALUES = 1_000_000
"""Objects and arrays in a session file. Each takes up to 240 bytes of memory but only 2 bytes in the file."""

MAX_SEPARATORS = 2_000_000
"""Commas between values in a session file, for the same reason."""

MAX_TURNS = 200_000
"""Turns in a session: four times the 50,000 that are benchmarked, each about 1 KB in memory besides its text."""

MAX_JOURNAL_BYTES = 1 << 29
"""Size of a journal without holes. It is emptied when it reaches an eighth of its session."""

MAX_INPUT_CHARACTERS = 20 << 20
"""A script line, a block in it, or piped text: as long as the largest attachment."""

MAX_CONVERSATION_CHARACTERS = 32 << 20
"""Text of an imported conversation, which a small database can make large by repetition."""

MAX_EDITED_BYTES = 1 << 26
"""Text saved by the editor: more than any model reads."""
