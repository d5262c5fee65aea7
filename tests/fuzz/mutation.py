"""Nearly valid bytes: a known input with a few changes."""

from __future__ import annotations

from random import Random

TOKENS = (
    *rb"""{ } [ ] , : " \ " " ' """.split(),
    *rb"\n \u0000 \ud83d \udc00 null true NaN 1e999 -1 99999999999999999999 [[[[[[[[ 0.5 ``` data: event:".split(),
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\t", b"\x1b[31m", b"\x9b", b"\xff", b"\xe2\x80\xae", b"\xf0\x9f\x8e"),
)
"""What readers stumble over."""


def mutated(random: Random, corpus: tuple[bytes, ...], most: int = 6) -> bytes:
    """Return an input of the corpus with up to `most` changes."""
    data = bytearray(random.choice(corpus))
    for _ in range(random.randint(0, most)):
        at = random.randrange(len(data) + 1)
        until = min(len(data), at + random.choice((1, 1, 2, 4, 16, 64)))
        kind = random.randrange(6)
        if kind == 0:
            del data[at:until]
        elif kind == 1:
            data[at:at] = random.choice(TOKENS)
        elif kind == 2:
            data[at:until] = random.choice(TOKENS)
        elif kind == 3:
            data[at:at] = data[at:until] * random.choice((1, 2, 50))
        elif kind == 4:
            other = random.choice(corpus)
            start = random.randrange(len(other) + 1)
            data[at:at] = other[start : start + random.choice((4, 32, 256))]
        elif at < len(data):
            data[at] = random.randrange(256)
    return bytes(data)
