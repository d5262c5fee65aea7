"""Keeping what was said from looking like what we write around it, in a way that can be taken back exactly."""

from __future__ import annotations

import re

LINE_ENDS = "\\n\\r\\x0b\\x0c\\x1c\\x1d\\x1e\\x85\\u2028\\u2029"
"""What any reader may take for the end of a line, for use in a character class. No marker may match across one."""


class LineEscaper:
    """Puts a backslash before each line that begins like one of our own lines (`marker`, a regular expression).

    A line that begins with backslashes and then a marker gets one more, so `show` undoes `hide` for every text. Other
    text is left byte for byte. The first line is left too: it follows our own label on the same line. LINE_ENDS says
    what a line is.
    """

    def __init__(self, marker: str) -> None:
        self._plain = re.compile(rf"(?<=[{LINE_ENDS}])(?=\\*(?:{marker}))")
        self._guarded = re.compile(rf"(?<=[{LINE_ENDS}])\\(?=\\*(?:{marker}))")

    def escape(self, text: str) -> str:
        """`text` in which no line but the first can be taken for ours."""
        return self._plain.sub(r"\\", text)

    def unescape(self, text: str) -> str:
        """The text that `hide` was given."""
        return self._guarded.sub("", text)
