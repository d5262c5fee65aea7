"""Server faults, one per row, with the expected result, which is the same in every protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.faults.dialects import COMPLETION, NO_USAGE, PIECES, PROMPT, TEXT, Dialect
from tests.faults.server import Answer, Connection, bomb, cut, for_ever, packed, status, streamed, zipped

ANY = "\0any"
"""Any text is right, as long as it is a part of what was sent."""

KEY = "sk-faults-0123456789abcdefXYZ"


@dataclass(frozen=True)
class Row:
    """A fault: the server's responses in order and the expected result.

    `text` is what is shown and kept of the reply, `requests` how many are right, `codes` the exit codes; `reason` is
    the turn's finish_reason; `word` stands in what is said on stderr; `usage` is that of the turn, `estimated`, or None
    for any. `base_url` is asked instead of the server's, `prompts` are typed.
    """

    name: str
    answers: tuple[Answer, ...]
    text: str = TEXT
    requests: tuple[int, ...] = (1,)
    codes: tuple[int, ...] = (0,)
    reason: str | None = "stop"
    word: str = ""
    usage: tuple[int, int] | str | None = None
    base_url: str = ""
    prompts: tuple[str, ...] = ("hello",)
    environ: dict[str, str] = field(default_factory=dict)


def failed(name: str, *answers: Answer, **more: Any) -> Row:
    """Return a row without a reply."""
    return Row(name, answers, **{"text": "", "codes": (1,), "reason": "error"} | more)


def broken(name: str, count: int, *answers: Answer, **more: Any) -> Row:
    """Return a row in which only the first `count` deltas arrive."""
    expected: dict[str, Any] = {"text": "".join(PIECES[:count]), "codes": (1,), "reason": "interrupted", "word": "kept"}
    return Row(f"{name} after {count}", answers, **expected | more)


def rows(d: Dialect) -> Iterator[Row]:
    """Return every row in the bytes of a protocol."""
    for part in (_statuses, _waits, _drops, _cuts, _instead, _inside, _silence, _floods, _usages):
        yield from part(d)
    for part in (_legal, _texts, _moved, _ends):
        yield from part(d)


def _refusal(message: str, code: str = "") -> bytes:
    return json.dumps({"error": {"message": message, **({"code": code} if code else {})}}).encode()


def _statuses(d: Dialect) -> Iterator[Row]:
    for code in (400, 404, 413, 422):
        asked = (2,) if code == 404 and d.name == "responses" else (1,)  # then for chat completions
        refusal = status(code, _refusal("what a pity"))
        yield failed(f"C1 {code}", refusal, word=f"({code}): what a pity", requests=asked)
    for code in (401, 403):
        yield failed(f"C2 {code}", status(code, _refusal("no")), word=f"({code})")
        if d.name != "ollama":  # it has no key
            yield failed(f"C2 {code}, the key in the answer", status(code, _refusal(f"bad {KEY}")), word=f"({code})")
    shapes = '{"detail": %s}', '{"error": %s}', '{"error": {"message": %s, "code": 7}}', '[{"error": {"message": %s}}]'
    for shape in shapes:
        yield failed(f"C1 400, {shape}", status(400, (shape % '"what a pity"').encode()), word="what a pity")
    page = b"<html><body>Bad Gateway</body></html>"
    for code in (408, 409, 500, 502, 503, 504, 529):
        body = page if code == 502 else _refusal("later")
        yield failed(f"C3 {code}", status(code, body), requests=(3,), word=f"({code})")
    yield Row("C3 500, twice", (status(500), status(500), streamed(d.reply())), requests=(3,))


def _waits(d: Dialect) -> Iterator[Row]:
    for value in ("0.3", "1", "junk", "-5", "nan", "inf"):
        yield Row(f"C4 429, Retry-After {value}", (status(429, retry_after=value), streamed(d.reply())), requests=(2,))
    for seconds in (2, -86400):
        answers = _dated(seconds), streamed(d.reply())
        yield Row(f"C4 429, Retry-After a date in {seconds} s", answers, requests=(2,))
    yield Row("C4 429, retry-after-ms", (status(429, retry_after_ms="300"), streamed(d.reply())), requests=(2,))
    yield failed("C4 429, Retry-After 1e12", status(429, retry_after="1e12"), word="asks to wait")
    yield failed("C4 429, no quota", status(429, _refusal("used up", "insufficient_quota")), word="quota")


def _dated(seconds: int) -> Answer:
    def answer(connection: Connection) -> None:
        connection.status(429, retry_after=format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True))

    return answer


def _drops(d: Dialect) -> Iterator[Row]:
    unreached: dict[str, Any] = {"requests": (0,)}
    yield failed("C5 refused", status(500), base_url="http://127.0.0.1:9", **unreached)
    yield failed("C5 no such host", status(500), base_url="https://no-such-host.invalid", **unreached)
    yield failed("C5 no TLS there", status(500), base_url="https://127.0.0.1:{port}", requests=(0, 1, 2, 3))
    yield failed("C5 accepted and never answered", lambda connection: time.sleep(3), word="sent no text")
    yield failed("C6 no answer", lambda connection: None, requests=(3,))
    yield Row("C6 no answer, once", (lambda connection: None, streamed(d.reply())), requests=(2,))

    def half(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-ty")

    yield failed("C6 half the headers", half, requests=(3,))
    yield failed("C6 reset", lambda connection: connection.reset(), requests=(3,))


def _cuts(d: Dialect) -> Iterator[Row]:
    for count in (1, 3, 5):
        data = d.part(count)
        yield broken("C7 hung up", count, cut(data))
        yield broken("C7 reset", count, cut(data, reset=True), text=ANY)
        yield broken("C7 half an event", count, streamed(data + d.delta("never")[:20]))
        yield broken("C7 a clean end", count, streamed(data))
        yield broken("C7 an illegal chunk", count, _illegal(data))
        yield broken("C7 shorter than its length", count, _short(data))
        yield broken("C7 half of the gzip", count, packed(zipped(data)[:-4]), text=ANY, reason=None, word="")
    if d.name not in ("gemini", "responses"):  # which have no other end
        yield Row("C8 no reason", (streamed(d.start(), *map(d.delta, PIECES), d.end(None) + d.done),))
    if d.name in ("openai", "anthropic"):
        yield Row("C8 nothing after the reason", (streamed(d.reply().removesuffix(d.done)),))


def _illegal(data: bytes) -> Answer:
    def answer(connection: Connection) -> None:
        connection.stream()
        connection.chunk(data)
        connection.send(b"zz\r\n")

    return answer


def _short(data: bytes) -> Answer:
    def answer(connection: Connection) -> None:
        connection.begin(200, content_type="text/event-stream", content_length=str(len(data) + 100))
        connection.send(data)

    return answer


def _instead(d: Dialect) -> Iterator[Row]:
    page = b"<!doctype html><title>Please log in</title>"
    yield failed("C9 a web page", status(200, page, content_type="text/html"), word="web page")
    yield failed("C9 nothing", status(200), requests=(3,), word="empty")
    yield failed("C9 204", status(204), requests=(1, 3))
    yield failed("C9 an error at once", streamed(d.error("what a pity", "invalid_request_error")), word="what a pity")
    yield Row("C10 a whole answer", (status(200, d.whole(TEXT), content_type="application/json"),))


def _inside(d: Dialect) -> Iterator[Row]:
    bad = b"data: {nothing\n\n" if d.sse else b"{nothing\n"
    good = [d.start(), *map(d.delta, PIECES), d.end() + d.done]
    yield Row("C11 one event is no JSON", (streamed(*good[:2], bad, *good[2:]),), word="note")
    for count in (1, 3, 5):
        yield broken("C12 an error", count, streamed(d.part(count), d.error("what a pity")), word="what a pity")


def _silence(d: Dialect) -> Iterator[Row]:
    quiet = {"LLM_IDLE_TIMEOUT": "1", "LLM_FIRST_TOKEN_TIMEOUT": "1"}
    comment = b": still here\n\n" if d.sse else b"\n"
    for count in (1, 3):
        yield broken("C13 silence", count, _silent(d.part(count)), environ=quiet, word="sent no text")
        pings = for_ever(d.part(count), comment, 0.05)
        yield broken("C14 comments for ever", count, pings, environ=quiet, word="no text")
    yield failed("C13 headers and silence", _silent(b""), environ=quiet, word="sent no text")
    yield failed("C14 comments and nothing else", for_ever(b"", comment, 0.05), environ=quiet, word="sent no text")
    empty = for_ever(d.start(), d.delta(""), 0.05)
    yield failed("C14 empty pieces for ever", empty, environ=quiet, word="sent no text")
    yield failed("C14 a byte now and then", for_ever(b"", b"d", 0.05), environ=quiet, word="")


def _silent(first: bytes) -> Answer:
    def answer(connection: Connection) -> None:
        connection.stream()
        if first:
            connection.chunk(first)
        time.sleep(4)

    return answer


def _floods(d: Dialect) -> Iterator[Row]:
    much = d.delta("word " * 2000) * 10
    yield Row("C15 a reply without end", (for_ever(d.start(), much),), text=ANY, codes=(1,), reason="interrupted")
    yield failed("C16 a line without end", for_ever(b"", b"data: " + b"x" * (1 << 20)), word="event of more than")
    large: dict[str, Any] = {"text": ANY, "codes": (0, 1), "reason": None}
    yield Row("C16 64 MB in one event", (_large(d),), **large)
    yield failed("C16 a gzip bomb", bomb(1 << 30), requests=(1, 2, 3), word="")
    yield failed("C16 one huge header", status(200, b"", x="y" * 1_000_000), requests=(1, 2, 3))

    def many(connection: Connection) -> None:
        connection.begin(200, **{f"x{number}": "y" for number in range(20_000)})

    yield failed("C16 20,000 headers", many, requests=(1, 2, 3))


def _large(d: Dialect) -> Answer:
    return lambda connection: streamed(d.start(), d.delta("x" * (64 << 20)), d.end() + d.done)(connection)


def _usages(d: Dialect) -> Iterator[Row]:
    right = (PROMPT, COMPLETION)
    body = [d.start(), *map(d.delta, PIECES)]
    if d.name in ("openai", "anthropic"):
        same = d.end() * 3
        yield Row("C17 usage three times", (streamed(*body, same + d.done),), usage=right)
        growing = b"".join(d.end(completion=count) for count in (3, 6, COMPLETION))
        yield Row("C17 usage that grows", (streamed(*body, growing + d.done),), usage=right)
    yield Row("C18 no usage", (streamed(d.reply(prompt=NO_USAGE)),), usage="estimated")
    yield Row("C18 usage null", (streamed(d.reply(prompt=None, completion=None)),), usage="estimated")
    wrong: tuple[Any, ...] = (-5, 1e30, float("nan"), "11", [], {}, 10**400)
    for value in wrong:
        shown = str(value)[:8]
        yield Row(f"C19 usage {shown}", (streamed(d.reply(prompt=value, completion=value)),), usage="estimated")


def _legal(d: Dialect) -> Iterator[Row]:
    good = d.reply()
    yield Row("C20 as it should be", (streamed(good),), usage=(PROMPT, COMPLETION))
    yield Row("C20 each event in its chunk", (streamed(d.start(), *map(d.delta, PIECES), d.end() + d.done),))
    yield Row("C20 other line ends", (streamed(good.replace(b"\n", b"\r\n")),))
    yield Row("C20 another type", (streamed(good, content_type="text/plain"),))
    yield Row("C20 gzip", (packed(zipped(good)),))
    yield Row("C20 a cookie", (streamed(good, set_cookie="id=1"),) * 2, prompts=("hello", "again"), requests=(2,))
    thinking = d.delta("let me see", thinking=True)
    yield Row("C20 thinking", (streamed(d.start(), thinking, *map(d.delta, PIECES), d.end() + d.done),))
    wide = "a\u2028b\u2029c\u0085d\x0be"
    yield Row("C20 other line separators", (streamed(d.reply(wide)),), text=wide)
    yield Row("C20 early hints", (_hinted(good),))
    unknown = d.start() + d.frame({"type": "new", "x": 1}, "new") + good.removeprefix(d.start())
    yield Row("C20 unknown events", (streamed(unknown),))
    if d.sse:
        yield Row("C20 only CR", (streamed(good.replace(b"\n", b"\r")),))
        yield Row("C20 a byte order mark", (streamed(b"\xef\xbb\xbf" + good),))
        yield Row("C20 no blank", (streamed(good.replace(b"data: ", b"data:")),))
        yield Row("C20 comments", (streamed(good.replace(b"data: ", b": hm\ndata: ")),))
        yield Row("C20 several data lines", (streamed(good.replace(b"data: {", b"data: {\ndata: ")),))
        yield Row("C20 ids and times", (streamed(good.replace(b"data: ", b"id: 1\nretry: 5\ndata: ")),))
    if d.name == "openai":
        yield Row("C20 no choices", (streamed(d.frame({"choices": []}) + good),))


def _hinted(good: bytes) -> Answer:
    def answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
        connection.status(200, good, content_type="text/event-stream", connection="close")

    return answer


def _texts(d: Dialect) -> Iterator[Row]:
    wide = "Grüße, 漢字 and 😀."
    data = d.reply(wide)
    yield Row("C21 a byte a chunk", (streamed(*(data[at : at + 1] for at in range(len(data)))),), text=wide)
    escaped = data.replace("😀".encode(), b"\\ud83d\\ude00")
    yield Row("C21 an escaped pair", (streamed(escaped),), text=wide)
    again: dict[str, Any] = {"prompts": ("hello", "again"), "requests": (2,), "text": ANY}
    fine = streamed(d.reply())
    yield Row("C22 no UTF-8", (streamed(data.replace(b" and", b" \xff\xfe")), fine), **again)
    halves = data.replace("😀".encode(), b"\\ud83d")
    yield Row("C22 half a pair", (streamed(halves), fine), **again)
    split = d.start() + d.delta("x").replace(b'"x"', b'"\\ud83d"') + d.delta("x").replace(b'"x"', b'"\\ude00"')
    yield Row("C22 a pair in two events", (streamed(split + d.end() + d.done), fine), **again)
    for name, text in HOSTILE.items():
        yield Row(f"D {name}", (streamed(d.reply(text)),), text=text)
        yield Row(f"D {name}, a character each", (streamed(d.reply(*text)),), text=text)
        yield failed(f"D {name} in an error", status(400, _refusal(text)), word="(400)")
    yield Row("D NUL", (streamed(d.reply("a\0b")),), text="a\0b")


HOSTILE = {
    "escape sequences": "a\x1b[2J\x1b]0;owned\x07\x1b]52;c;aGk=\x07b\x9b31mc\bd\re",
    "text that turns": "a\u202eb\u2066c\u200bd\U000e0041e",
}


def _moved(d: Dialect) -> Iterator[Row]:
    for code in (301, 302, 303, 307, 308):
        yield failed(f"C23 {code}", status(code, location="http://127.0.0.1:9/elsewhere"), word="redirects")
    yield failed("C23 to itself", status(302, location="/v1/chat/completions"), word="redirects")


def _ends(d: Dialect) -> Iterator[Row]:
    body = [d.start(), *map(d.delta, PIECES)]
    yield Row("C24 at the limit", (streamed(*body, d.end("length") + d.done),), reason="length", word="limit")
    if d.name != "ollama":
        reason = "content_filter"
        yield Row("C24 filtered", (streamed(*body, d.end(reason) + d.done),), reason=None, codes=(0, 1), word="")
        yield failed("C24 filtered, no text", streamed(d.start() + d.end(reason) + d.done), reason=None)
    if d.name in ("openai", "gemini"):  # Responses has no choices
        second = d.delta("never", index=1)
        yield Row("C25 two choices", (streamed(d.start(), *(d.delta(p) + second for p in PIECES), d.end() + d.done),))
