"""Damaged session files, and what must still be recovered from them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

TURNS = 5
CONTROL = "\x1b]0;title\x07\x1b[2J\x9b31m\x00\r\u202e\u2066\ud83d"
BOMB = 64 << 20


@dataclass(frozen=True)
class Hostile:
    """The bytes of a file. `turns` are the prompts that recovery must return at least, in any order.

    `valid` says whether the file must be read as it is (True), must be refused (False), or either.
    """

    case: str
    raw: bytes
    turns: tuple[str, ...] = ()
    valid: bool | None = None


def session(turns: int = TURNS) -> dict[str, Any]:
    """Return a session with every known key and some unknown ones."""
    return {
        "model": "offline/echo",
        "system": "Be brief.",
        "created_at": "2024-01-08T14:30:22.123456",
        "turns": [_turn(number) for number in range(turns)],
        "usage_totals": {"prompt_tokens": 3 * turns, "completion_tokens": 2 * turns, "total_tokens": 5 * turns},
        "meta": {"title": "A title", "tags": ["one", "two"], "user_id": "default"},
        "of_tomorrow": {"kept": [1, None]},
    }


def _turn(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": question(number)},
            {"role": "assistant", "content": f'answer {number}: \u65e5\u672c \N{PARTY POPPER} " \\ \n```py\nx\n```'},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "latency_ms": 12.5,
        "cost_estimate": 0.25,
        "created_at": f"2024-01-08T14:3{number}:00",
        "finish_reason": "stop",
    }


def question(number: int) -> str:
    """Return the prompt of a turn."""
    return f"question {number}"


def questions(count: int = TURNS) -> tuple[str, ...]:
    """Return the prompts of the first turns."""
    return tuple(question(number) for number in range(count))


def written(data: object) -> bytes:
    """Return a session file as the program writes it."""
    return json.dumps(data, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def every() -> Iterator[Hostile]:
    """Yield all hostile files, the same in each run."""
    for family in (_cut, _tails, _touched, _two_writers, _encoded, _values, _doubled, _deep, _packed, _foreign):
        yield from family()


def _cut() -> Iterator[Hostile]:
    """Truncate at any byte."""
    whole = written(session())
    ends = [end + 1 for end in _ends_of_turns(whole)]
    for at in range(0, len(whole) - 2, 4):
        yield Hostile(f"cut at {at}", whole[:at], questions(sum(end <= at for end in ends)), valid=False)


def _ends_of_turns(raw: bytes) -> Iterator[int]:
    at = -1
    while (at := raw.find(b"\n    }", at + 1)) >= 0:
        yield at + 5


def _tails() -> Iterator[Hostile]:
    """Append unwritten bytes, as after a crash of a file system that extends a file before it writes the data."""
    whole = written(session())
    for at in (0, 1, 100, 700, 1500, len(whole)):
        for length in (1, 7, 512, 4096, 65536):
            kept = questions() if at == len(whole) else ()
            yield Hostile(f"{length} NULs from {at}", whole[:at] + b"\0" * length, kept)
    for at in range(50, len(whole), 150):
        yield Hostile(f"a hole at {at}", whole[:at] + b"\0" * 100 + whole[at + 100 :], valid=False)


def _touched() -> Iterator[Hostile]:
    """Change, insert or delete a byte, or lose a block."""
    whole = written(session())
    random = Random("touched")
    for number in range(400):
        at = random.randrange(len(whole))
        new = bytes([random.choice([0, 7, 10, 27, 34, 44, 91, 92, 93, 123, 125, 128, 155, 192, 237, 255])])
        yield Hostile(f"byte {at} became {new[0]:#x} ({number})", whole[:at] + new + whole[at + 1 :])
        if number % 4 == 0:
            yield Hostile(f"{new[0]:#x} put in at {at}", whole[:at] + new + whole[at:])
            yield Hostile(f"{new[0] + 1} bytes gone at {at}", whole[:at] + whole[at + new[0] + 1 :])


def _two_writers() -> Iterator[Hostile]:
    """Combine the output of two writers, or leave merge conflict markers."""
    for one in range(5):
        for other in range(5):
            a, b = written(session(one)), written(session(other))
            more = questions(max(one, other))
            yield Hostile(f"{one} turns, then {other}", a + b, more, valid=False)
            if len(b) < len(a):
                yield Hostile(f"{other} turns over {one}", b + a[len(b) :], questions(other), valid=False)
            marked = b"<<<<<<< HEAD\n" + a + b"=======\n" + b + b">>>>>>> theirs\n"
            yield Hostile(f"conflict of {one} and {other}", marked, more, valid=False)


def _encoded() -> Iterator[Hostile]:
    """Use other encodings, byte order marks, and invalid bytes."""
    text = written(session()).decode()
    yield Hostile("a byte order mark", b"\xef\xbb\xbf" + text.encode(), questions(), valid=True)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        kept = questions() if "32-" not in encoding else ()
        yield Hostile(encoding, text.encode(encoding), kept, valid=False)
        yield Hostile(f"{encoding}, cut", text.encode(encoding)[:-33], valid=False)
    for encoding in ("latin-1", "cp1252", "shift_jis", "cp037"):
        yield Hostile(encoding, text.encode(encoding, "replace"))
    yield Hostile("utf-7", text.encode("utf-7"))
    for raw in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82"):
        bad = text.encode().replace(b"answer 1", b"answer " + raw)
        yield Hostile(f"bytes {raw.hex()} in an answer", bad, questions(), valid=False)
    for escape in (r"\ud83d", r"\udc00", r"\ud83dx\ude00", r"\ude00\ud83d"):
        bad = text.replace("answer 1", f"answer {escape}").encode()
        yield Hostile(f"{escape} in an answer", bad, questions(), valid=False)
    for line_end in ("\r\n", "\r"):
        yield Hostile(f"line ends {line_end!r}", text.replace("\n", line_end).encode(), questions(), valid=True)


_RAW = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "huge digits": "9" * 6000,
    "huge negative": "-" + "9" * 400,
    "tiny": "1e-999",
    "negative": "-5",
    "null": "null",
    "true": "true",
    "empty text": '""',
    "list": "[]",
    "lists": "[[[]]]",
    "object": "{}",
    "half pair": r'"\udc80"',
    "number": "7",
    "year 1": '"0001-01-01T00:00:00"',
    "year 2999": '"2999-12-31T23:59:59Z"',
    "offset": '"2024-01-08T14:30:22+14:00"',
    "junk": '"yesterday"',
    "controls": json.dumps(CONTROL[:-1]),
    "parts": '[{"type": "text", "text": "part"}, 7]',
    "nested": "[" * 150 + "]" * 150,
    "deep": "[" * 5000 + "]" * 5000,
    "long": '"' + "x" * 70_000 + '"',
}
_PLACE = "@here@"


def _values() -> Iterator[Hostile]:
    """Replace each value of a session in turn, which must not cost its neighboring turns."""
    for path in _paths(session(3)):
        for name, raw in _RAW.items():
            data = session(3)
            _put(data, path, _PLACE)
            text = written(data).decode().replace(json.dumps(_PLACE), raw, 1)
            kept = tuple(question(n) for n in range(3) if path[:2] != ("turns", n)) if path != ("turns",) else ()
            yield Hostile(f"{'.'.join(map(str, path))} is {name}", text.encode(), kept)


def _paths(data: Any) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of all values in a session, for turns those of the second one."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (key,)
        if isinstance(value, dict) or (isinstance(value, list) and key != "turns"):
            yield from ((key, *rest) for rest in _paths(value))
        elif key == "turns":
            yield (key, 1)
            yield from ((key, 1, *rest) for rest in _paths(value[1]))


def _put(data: Any, path: tuple[str | int, ...], value: object) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def _doubled() -> Iterator[Hostile]:
    """Duplicate or remove a key."""
    for key in session(3):
        text = written(session(3)).decode()
        for name, raw in (("null", "null"), ("empty", "[]"), ("text", '"x"'), ("same", json.dumps(session(3)[key]))):
            first = text.replace(f'"{key}": ', f'"{key}": {raw}, "{key}": ', 1).encode()
            yield Hostile(f"{key} twice, first {name}", first, questions(3), valid=False)
            last = (text.rstrip()[:-1] + f', "{key}": {raw}}}').encode()
            yield Hostile(f"{key} twice, last {name}", last, questions(3), valid=False)
        less = {k: v for k, v in session(3).items() if k != key}
        kept = questions(3) if key != "turns" else ()
        yield Hostile(f"without {key}", written(less), kept, valid=False if key in ("model", "turns") else None)
    for key in _turn(0):
        data = session(3)
        del data["turns"][1][key]
        yield Hostile(f"a turn without {key}", written(data), (question(0), question(2)))
    for number in range(3):
        data = deepcopy(session(3))
        data["turns"][number]["messages"] = data["turns"][number]["messages"][number % 2 :][:1]
        yield Hostile(f"turn {number} with one message", written(data))


def _deep() -> Iterator[Hostile]:
    """Use extreme nesting or length."""
    for opening in ("[", '{"a":', '{"turns":[', '[{"messages":', '"\\'):
        for times in (10, 1_000, 100_000):
            yield Hostile(f"{times} times {opening}", (opening * times).encode(), valid=False)
    for times in (1_000, 100_000):
        whole = written(session(2))[:-2] + b', "x": ' + b"[" * times + b"]" * times + b"}"
        yield Hostile(f"a session and {times} brackets", whole, questions(2))
    yield Hostile("a million quotes", b'"' * 1_000_000, valid=False)
    yield Hostile("a million keys", b"{" + b'"a":1,' * 1_000_000, valid=False)
    yield Hostile("a million turns begun", b'{"turns": [' + b'{"messages":' * 100_000, valid=False)


def _packed() -> Iterator[Hostile]:
    """Truncate or corrupt gzip, append to it, or compress far more than its size suggests."""
    whole = written(session())
    packed = gzip.compress(whole, mtime=0)
    yield Hostile("gzip under a plain name", packed, questions(), valid=True)
    for at in range(2, len(packed), 3):
        yield Hostile(f"gzip cut at {at}", packed[:at], valid=False)
    for at in range(0, len(packed), 5):
        yield Hostile(f"gzip with a wrong byte at {at}", packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :])
    for tail in (b"x", b"\0" * 9 + b"x", packed, whole):
        yield Hostile(f"gzip and {tail[:4].hex()} after it", packed + tail, questions(), valid=False)
    yield Hostile("gzip and NULs", packed + b"\0" * 100, questions(), valid=True)
    yield Hostile("gzip in gzip", gzip.compress(packed, mtime=0), valid=False)
    yield Hostile("a bomb", gzip.compress(b"\0" * BOMB, mtime=0), valid=False)
    bomb = whole.rstrip()[:-1] + b', "x": "' + b"a" * BOMB + b'"}'
    yield Hostile("a session with a bomb in it", gzip.compress(bomb, mtime=0), questions())


def _foreign() -> Iterator[Hostile]:
    """Use files of other programs, empty files, and text with terminal escape sequences."""
    others: list[Any] = [None, 1, "text", [], {}, [session(1)], {"turns": []}, {"model": "m"}, {"messages": []}]
    for number, data in enumerate(others):
        yield Hostile(f"other JSON {number}", written(data), valid=False)
    for raw in (b"", b" ", b"\n\n", b"\0", b"\0" * 70_000, b"\xef\xbb\xbf", b"{", b"not JSON", b"<html>", b"PK\3\4"):
        yield Hostile(f"{len(raw)} bytes {raw[:4].hex()}", raw, valid=False)
    random = Random("noise")
    for size in (1, 10, 1_000, 100_000):
        yield Hostile(f"{size} bytes of noise", random.randbytes(size))
    for path in _paths(session(2)):
        data = session(2)
        _put(data, path, CONTROL)
        yield Hostile(f"controls in {'.'.join(map(str, path))}", written(data).replace(b"\xed\xa0\xbd", b""))
