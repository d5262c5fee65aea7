"""What a server can do to a reply, and what must come of it: the same faults in every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.providers.loopback import KEY, Answer, hang_up, status, stream
from tests.providers.recorded import ANTHROPIC, GEMINI, OLLAMA, OPENAI, PIECES, TEXT

REPLIES = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI, "ollama": OLLAMA}
_FINISH = {"openai": b'"stop"', "anthropic": b'"end_turn"', "gemini": b'"STOP"', "ollama": b'"stop"'}
_GAPS = {"openai": b"\n\n", "anthropic": b"\n\n", "gemini": b"\r\n\r\n", "ollama": b"\n"}

REFUSED = (400, 401, 403, 404, 413, 422)
TRIED_AGAIN = (408, 409, 429, 500, 502, 503, 504, 529)
NONSENSE = ("junk", "-5", "nan", "Thu, 01 Jan 1970 00:00:00 GMT")


@dataclass(frozen=True)
class Fault:
    """A case: what the server does, and what must be seen.

    `arrived` is the text that must be kept at least; `whole` says whether the turn must succeed (None: it may).
    `requests` is how many the server must get; `waited` the least time between
    the first and the last of them, in seconds.
    """

    case: str
    dialect: str
    answer: Answer
    arrived: str = ""
    whole: bool | None = False
    requests: int = 1
    waited: float = 0
    says: str = ""


def every() -> Iterator[Fault]:
    """All faults in all protocols."""
    for dialect, reply in REPLIES.items():
        yield from _refusals(dialect)
        yield from _no_answers(dialect)
        yield from _legal(dialect, reply)
        yield from _cuts(dialect, reply)


def _refusals(dialect: str) -> Iterator[Fault]:
    def refused(code: int, requests: int = 1, waited: float = 0, **headers: str) -> Fault:
        secret = "" if dialect == "ollama" else KEY  # it has no key to repeat
        body = {"error": {"message": f"not with {secret}", "type": "t", "code": "c", "status": "S"}}
        case = f"{dialect} {code} {headers or ''}".strip()
        return Fault(case, dialect, status(code, body, **headers), requests=requests, waited=waited, says=str(code))

    for code in REFUSED:
        yield refused(code)
    for code in TRIED_AGAIN:
        yield refused(code, 3)
    yield refused(429, 3, 4, Retry_After="2")
    for wait in NONSENSE:
        yield refused(429, 3, Retry_After=wait)
    yield refused(429, 1, Retry_After="1e12")


def _no_answers(dialect: str) -> Iterator[Fault]:
    page = "<html><body>Sign in</body></html>"
    yield Fault(f"{dialect} no answer at all", dialect, hang_up, requests=3)
    yield Fault(f"{dialect} 200 with a page", dialect, status(200, page, Content_Type="text/html"), says="base_url")
    yield Fault(f"{dialect} 200 with nothing", dialect, status(200), requests=3)
    yield Fault(f"{dialect} 204", dialect, status(204), requests=3)
    for code in (301, 302, 307, 308):
        answer = status(code, "", Location="http://127.0.0.1:9/elsewhere")
        yield Fault(f"{dialect} {code} to another place", dialect, answer, says="127.0.0.1:9")


def _legal(dialect: str, reply: bytes) -> Iterator[Fault]:
    """Unusual, and yet a reply like any other."""
    ways = {"byte by byte": [reply[n : n + 1] for n in range(len(reply))]}
    for size in (2, 3, 7, 64):
        ways[f"in pieces of {size}"] = [reply[n : n + size] for n in range(0, len(reply), size)]
    ways["in one piece"] = [reply]
    ways["with CR LF"] = [reply.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")]
    if dialect != "ollama":
        ways["with a byte order mark"] = [b"\xef\xbb\xbf" + reply]
        ways["with comments"] = [reply.replace(_GAPS[dialect], _GAPS[dialect] + b": still here\n\n")]
        ways["without blanks after the colon"] = [reply.replace(b"data: ", b"data:")]
    for way, pieces in ways.items():
        yield Fault(f"{dialect} {way}", dialect, stream(*pieces), TEXT, whole=True)
    cookie = stream(reply, Set_Cookie="a=b")
    yield Fault(f"{dialect} with a cookie", dialect, cookie, TEXT, whole=True)


def _cuts(dialect: str, reply: bytes) -> Iterator[Fault]:
    """The connection breaks, or the reply just ends, after so many bytes."""
    ends = [_end(dialect, reply, json.dumps(piece).encode()) for piece in PIECES]
    begins, ended = reply.rindex(_FINISH[dialect]), _end(dialect, reply, _FINISH[dialect])
    for cut in range(ends[0], len(reply), 11):
        arrived = "".join(piece for piece, end in zip(PIECES, ends, strict=True) if end <= cut)
        whole = False if cut < begins else None
        for how, clean in (("breaks", False), ("ends", True)):
            if clean and cut >= ended:
                whole = True
            answer = stream(reply[:cut], whole=clean)
            yield Fault(f"{dialect} {how} after {cut} bytes", dialect, answer, arrived, whole)


def _end(dialect: str, reply: bytes, part: bytes) -> int:
    """Where the event with this part in it ends."""
    gap = _GAPS[dialect]
    return reply.index(gap, reply.rindex(part)) + len(gap)
