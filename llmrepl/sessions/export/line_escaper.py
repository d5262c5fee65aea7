"""Escape lines of a message that look like the export's own markup, reversibly."""

from __future__ import annotations

import re

LINE_ENDS = "\\n\\r\\x0b\\x0c\\x1c\\x1d\\x1e\\x85\\u2028\\u2029"
"""What any reader may treat as a line break, for use in a character class. No marker may match across one."""


class LineEscaper:
    """Puts a backslash before each line that matches `marker`, a regular expression.

    A line that begins with backslashes and then a marker gets one more, so `unescape` reverses `escape` for every text.
    The first line is never escaped: it follows a label on the same line. LINE_ENDS defines the line breaks.
    """

    def __init__(self, marker: str) -> None:
        self._plain = re.compile(rf"(?<=[{LINE_ENDS}])(?=\\*(?:{marker}))")
        self._guarded = re.compile(rf"(?<=[{LINE_ENDS}])\\(?=\\*(?:{marker}))")

    def escape(self, text: str) -> str:
        """Return `text` with every line but the first escaped where needed."""
        return self._plain.sub(r"\\", text)

    def unescape(self, text: str) -> str:
        """Reverse `escape`."""
        return self._guarded.sub("", text)
