"""How large things may be: every bound on what is read from a file, with the reason for it.

A limit is there so that a small or endless input cannot take much memory or time; what is beyond one is refused with a
sentence, and left as it is.
"""

from __future__ import annotations

MAX_SESSION_BYTES = 1 << 30
"""A session file, unpacked. It is read at once: a conversation of 50,000 turns has about 50 MB."""

SMALL_UNPACKED_BYTES = 16 << 20
"""What any gzip file may unpack to: ten times the size of a long conversation."""

MAX_PACKING_RATIO = 64
"""How often a gzip file may unpack to its own size: text reaches about 10, gzip itself 1,032. Archives that would
exceed it are stored without compression."""

MAX_VALUES = 1_000_000
"""Objects and lists in a session file. Each takes up to 240 bytes of memory and 2 bytes in the file."""

MAX_SEPARATORS = 2_000_000
"""Commas between values in a session file, for the same reason."""

MAX_TURNS = 200_000
"""Turns in a session: four times the 50,000 that are measured, each about 1 KB in memory besides its text."""

MAX_JOURNAL_BYTES = 1 << 29
"""A journal, without the holes of a sparse file. It is emptied when it reaches an eighth of its session."""

MAX_INPUT_CHARACTERS = 20 << 20
"""A line of a script, a block in it, or a text that is piped in: as long as the largest file that can be attached."""

MAX_CONVERSATION_CHARACTERS = 32 << 20
"""The text of one conversation of another program: a small database can make much of it, as by repeating a part."""

MAX_EDITED_BYTES = 1 << 26
"""A text that comes out of the editor: more than any model reads."""
