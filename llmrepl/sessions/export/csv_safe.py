"""CSV that is safe in spreadsheets: text that could run as a formula is prefixed with an apostrophe.

https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

_INVISIBLE = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_FORMULA = re.compile(rf"['\s{_INVISIBLE}]*[=+\-@＝＋－＠\t\r\n]")


def escape_cell(text: str) -> str:
    """Escape `text` so that no spreadsheet runs it, and drop NUL."""
    text = text.replace("\0", "")
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(cell: str) -> str:
    """Reverse `escape_cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def format_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Format rows with a header; lines end with a line feed, text is escaped, and None is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([escape_cell(cell) if isinstance(cell := row[column], str) else cell for column in columns])
    return out.getvalue()
