"""Read the current state of a session: its JSON file and the journal of a live shell."""

from __future__ import annotations

from pathlib import Path

from llmrepl.sessions.storage.journal import journal_path
from llmrepl.sessions.storage.journal_records import Data, base_of, fingerprint, read_records
from llmrepl.system import files
from llmrepl.system.limits import MAX_JOURNAL_BYTES


def read_with_journal(path: Path, limit: int) -> tuple[bytes, list[Data]]:
    """Return the bytes of a session file, at most `limit`, and the journal records that apply to them.

    The journal is read first: a shell replaces the JSON file before it empties the journal, so records that do not
    apply to the file are in it already. Raises OSError if the file cannot be read.
    """
    records: list[Data] = []
    if path.name.endswith(".json"):
        try:
            records, _ = read_records(files.read_regular(journal_path(path), MAX_JOURNAL_BYTES))
        except OSError:
            records = []
    raw = files.read_regular(path, limit)
    has_changes = any("opened" not in record for record in records)
    return raw, records if has_changes and base_of(records) == fingerprint(raw) else []
