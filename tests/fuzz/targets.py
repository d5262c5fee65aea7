"""Fuzz targets: for each reader of foreign bytes, what must hold for any input."""

from __future__ import annotations

import io
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from rich.console import Console

from llmrepl.commands.line import CommandLine, Prompt, as_prompt, inputs, parse
from llmrepl.commands.table import all_commands
from llmrepl.config.config_file import write_setting
from llmrepl.config.settings import Settings
from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_controls
from llmrepl.providers.base import Finish, ReasoningDelta, TextDelta
from llmrepl.providers.errors import Endpoint, ProviderError
from llmrepl.providers.event_reader import read_reply
from llmrepl.providers.http_provider import PROTOCOLS
from llmrepl.providers.transport import frames
from llmrepl.rendering.markdown.document import render
from llmrepl.rendering.reply_view import ReplyView
from llmrepl.sessions import importing
from llmrepl.sessions.importing.found import FoundConversation
from llmrepl.sessions.repair.recover import recover
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.journal_records import read_records, replay
from llmrepl.system.paths import Paths
from llmrepl.types import Usage
from tests.faults.hostile import session, written
from tests.fuzz import seeds
from tests.providers.loopback import question
from tests.rendering.terminals import CODES, STEPS, console, screen, streamed

LONGEST = 1500
"""Characters of a text that is drawn: a terminal is slow to look at."""

Check = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """A check that raises AssertionError, or an exception of the reader, and its seeds."""

    check: Check
    seeds: tuple[bytes, ...]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Split bytes as a network may deliver them."""
    return (data[at : at + size] for at in range(0, len(data), size))


def split_frames(data: bytes) -> None:
    """Check that frames do not depend on how the bytes are split, and that gzip is limited."""
    for cut in (frames.sse, frames.ndjson):
        whole = list(cut([data]))
        assert all(list(cut(pieces(data, size))) == whole for size in (1, 2, 7))
        assert sum(len(frame.data) for frame in whole) <= len(data)
    assert data.endswith(b"".join(frames.peek_start(pieces(data, 1))[1]))
    try:
        assert sum(map(len, frames.gunzip(pieces(data, 3), 1000))) <= 1000
    except ProviderError:
        pass


def dialect(name: str) -> Check:
    """Return the check of a protocol's reader."""

    def events(data: bytes, size: int) -> tuple[str, str, list[Usage], bool, str]:
        said, thought, usage, finished, failed = "", "", [], False, ""
        endpoint = Endpoint("vendor", "https://127.0.0.1/v1", "sk-secret-key", "")
        try:
            for event in read_reply(pieces(data, size), PROTOCOLS[name], question(), endpoint, lambda: None):
                said += event.text if isinstance(event, TextDelta) else ""
                thought += event.text if isinstance(event, ReasoningDelta) else ""
                usage += [event] if isinstance(event, Usage) else []
                finished = finished or isinstance(event, Finish)
        except ProviderError as failure:
            failed = str(failure)
        return said, thought, usage, finished, failed

    def check(data: bytes) -> None:
        whole = events(data, len(data) + 1)
        assert whole == events(data, 1), "it is read otherwise when it comes in single bytes"
        said, thought, usage, finished, failed = whole
        assert finished != bool(failed), "an answer either finishes or fails"
        assert len(usage) == 1 if said or thought else len(usage) < 2, "tokens are reported once"
        assert all(u.prompt_tokens >= 0 and u.completion_tokens >= 0 and not (u.cost or 0) < 0 for u in usage)
        assert len((said + thought).encode()) <= 3 * len(data), "more came out than went in"
        assert escape_controls(failed) == failed and "sk-secret-key" not in failed

    return check


def sessions(data: bytes) -> None:
    """Check that valid sessions round-trip, others are repaired, and repair loses no turn."""
    try:
        found = session_file.load(data)
    except session_file.Unreadable:
        repaired = recover(data)
        if repaired:
            session_file.load(session_file.dump(repaired.session))
        return
    assert session_file.load(session_file.dump(found)) == found
    asked = [turn.text_of("user") for turn in found.turns]
    back = recover(session_file.dump(found) + b"}")
    kept = [turn.text_of("user") for turn in back.session.turns] if back else []
    assert [text for text in kept if text] == [text for text in asked if text]


def journals(data: bytes) -> None:
    """Check that applying records twice equals once. Each line gets a valid checksum, or none would be read."""
    raw = b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in data.split(b"\n"))
    read_records(data)
    records, _ = read_records(raw)
    once, numbers = replay(session(2), records), [record["turn"] for record in records if "turn" in record]
    highest = accumulate((number + 1 for number in numbers), max, initial=3)
    if all(number <= most for number, most in zip(numbers, highest, strict=False)):  # we leave no gap
        assert once is None or replay(once, records) == once
    try:
        session_file.session_from_json(once or {})
    except session_file.Unreadable:
        pass


_TABLE = all_commands()


def scripts(data: bytes) -> None:
    """Check that each line is a prompt, a command or blank, and that errors are printed safely."""
    text = data.decode("utf-8", "replace")
    for line in accepted(text.splitlines(keepends=True)):
        found = parse(line)
        if isinstance(found, CommandLine):
            try:
                _TABLE.parse_line(found.text)
            except LLMError as failure:
                assert escape_controls(str(failure)) == str(failure)
        elif found is None:
            assert not line.strip() or line.strip().startswith(":#")
        again = parse(as_prompt(line))
        assert again is None or isinstance(again, Prompt)
        assert again is None or again.text.strip() == line.strip()


def configuration(data: bytes) -> None:
    """Check that any configuration is read, problems are reported, and setting a value keeps the others."""
    with tempfile.TemporaryDirectory() as top:
        environ = {"HOME": top, "LLM_CONFIG_DIR": top}
        paths = Paths.find(environ)
        paths.config_file.write_bytes(data)
        (Path(top) / ".llm.toml").write_bytes(data)
        before = Settings.load(environ, Path(top), paths)
        assert all(escape_controls(problem) == problem for problem in before.problems)
        (Path(top) / ".llm.toml").unlink()
        old = Settings.load(environ, Path(top), paths)
        try:
            write_setting(paths.config_file, "temperature", "0.5")
        except LLMError:
            assert paths.config_file.read_bytes() == data, "it was refused, and yet changed"
            return
        after = Settings.load(environ, Path(top), paths)
        assert after.number("temperature") == 0.5
        others = [row.key for row in after.rows() if row.key != "temperature"]
        assert [after.get(key) for key in others] == [old.get(key) for key in others]


def rendering(data: bytes) -> None:
    """Check that a streamed text looks like the complete one, with no escape sequences but ours."""
    text = data.decode("utf-8", "replace")[:LONGEST]
    cut = [text[at : at + 7] for at in range(0, len(text), 7)]
    for width in (20, 80):
        output = streamed(cut, console(width))
        left = STEPS.sub("", CODES.sub("", output))
        assert escape_controls(left) == left
        assert screen(output, width) == screen(render(text, console(width)), width)


def plain(data: bytes) -> None:
    """Check that text off a terminal is unchanged except for removed control characters."""
    text = data.decode("utf-8", "replace")
    whole = escape_controls(text.replace("\r\n", "\n"))
    for size in (1, 5):
        file = io.StringIO()
        view = ReplyView(Console(file=file), markdown=True)
        for at in range(0, len(text), size):
            view.text(text[at : at + size])
        view.finish()
        assert file.getvalue() == whole + "\n" * (not whole.endswith("\n") and bool(whole))


def accepted(lines: list[str]) -> Iterator[str]:
    """Return the inputs of a script up to the first error."""
    with suppress(UsageError):
        yield from inputs(lines)


def importer(source: str) -> Check:
    """Return the check of an importer: it yields valid sessions, errors or reported skips."""

    def check(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as top:
            path = Path(top) / "export"
            path.write_bytes(data)
            try:
                for item in importing.read(path, datetime(2024, 1, 8, 14, 30), source):
                    if isinstance(item, FoundConversation):
                        assert session_file.load(session_file.dump(item.session)) == item.session
                        json.dumps(item.title, ensure_ascii=False).encode()
            except LLMError as failure:
                assert escape_controls(str(failure)) == str(failure)
            assert path.read_bytes() == data

    return check


SESSIONS = (written(session(2)), written(session(1))[:-30], b'{"model": "m", "turns": [], "x": NaN}')

TARGETS = {
    "frames": Target(split_frames, (*seeds.REPLIES.values(), seeds.PACKED)),
    **{name: Target(dialect(name), (seeds.REPLIES[name], seeds.WHOLE[name])) for name in PROTOCOLS},
    "sessions": Target(sessions, SESSIONS),
    "journals": Target(journals, seeds.JOURNALS),
    "scripts": Target(scripts, seeds.SCRIPTS),
    "configuration": Target(configuration, seeds.CONFIGURATIONS),
    "rendering": Target(rendering, seeds.MARKDOWN),
    "plain": Target(plain, (b"a\r\nb\rc\x1b[31m\xe2\x80\xae", *seeds.MARKDOWN)),
    **{f"import-{name}": Target(importer(name), seeds.EXPORTS[name]) for name in importing.SOURCES},
}
