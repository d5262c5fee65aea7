"""Find and mask API keys, tokens and passwords in text by their format. Pure; linear time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MASK = "[masked]"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret at `start:end` of a text; `shown` is the part that is safe to display."""

    kind: str
    start: int
    end: int
    shown: str


_FORMS: tuple[tuple[str, str], ...] = (
    ("private key", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{1,10000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"),
    ("Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,200}"),
    ("OpenRouter key", r"\bsk-or-[A-Za-z0-9_-]{20,200}"),
    ("OpenAI key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,200}"),
    ("Stripe key", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,200}"),
    ("Google key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    ("AWS key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("Slack token", r"\bxox[abprs]-[A-Za-z0-9-]{10,250}"),
    ("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,200}"),
    ("Groq key", r"\bgsk_[A-Za-z0-9]{30,200}"),
    ("xAI key", r"\bxai-[A-Za-z0-9]{30,200}"),
    ("JSON web token", r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,2000}"),
    ("password in a URL", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,100}:(?P<p1>[^\s/@]{3,200})@"),
    ("bearer token", r"(?i:\bbearer )(?P<p2>[A-Za-z0-9._~+/-]{20,500}=*)"),
    (
        "assigned secret",
        r"(?i:\b[a-z0-9_-]{0,40}(?:api[_-]?key|secret|passw(?:or)?d|token)[a-z0-9_]{0,20}[\"']?\s{0,3}[:=]\s{0,3})"
        r"[\"']?(?P<p3>[A-Za-z0-9._~+/=-]{16,200})",
    ),
)
_ANY = re.compile("|".join(f"(?P<f{number}>{form})" for number, (_, form) in enumerate(_FORMS)))
_PARTS = ("p1", "p2", "p3")
_WORDS = 3
_LONGEST = 12_000
_END = re.compile(r"-----END [A-Z ]{0,30}-----")
_LEAST_BITS = 3.0
"""Minimum entropy, in bits per character, that tells an assigned secret from a word, path or placeholder."""


def find(text: str) -> list[Secret]:
    """Return the secrets in a text, in order and without overlaps."""
    return [secret for match in _ANY.finditer(text) if (secret := _secret(match))]


def mask(text: str) -> tuple[str, int]:
    """Return `text` with every secret replaced, and how many were. Idempotent."""
    masked = 0
    while found := find(text):  # repeat: masking one secret can uncover another
        out, at = [], 0
        for secret in found:
            out += [text[at : secret.start], MASK]
            at = secret.end
        text = "".join([*out, text[at:]])
        masked += len(found)
    return text, masked


class StreamMasker:
    """Masks a text that arrives in chunks, holding back what could be the beginning of a secret."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Add a chunk and return the masked text that is final. The last three words are always held back."""
        self._held += piece
        words = self._held.rsplit(None, _WORDS)
        end = len(words[0]) if len(words) > _WORDS else 0
        key_start = self._held.rfind("-----BEGIN", 0, end)
        if key_start >= 0 and not _END.search(self._held, key_start) and len(self._held) - key_start < _LONGEST:
            end = key_start
        passed, self._held = self._held[:end], self._held[end:]
        return mask(passed)[0]

    @staticmethod
    def mask_text(text: str) -> str:
        """Mask a complete text."""
        return mask(text)[0]


def _secret(match: re.Match[str]) -> Secret | None:
    kind = next(_FORMS[number][0] for number in range(len(_FORMS)) if match[f"f{number}"] is not None)
    part = next((name for name in _PARTS if match[name] is not None), None)
    start, end = match.span(part) if part else match.span()
    value = match.string[start:end]
    if kind == "assigned secret" and (_bits(value) < _LEAST_BITS or not re.search(r"\d", value)):
        return None
    if value.strip("*x.<>[]") == "" or value == MASK:
        return None
    return Secret(kind, start, end, f"{value[:4]}…{value[-4:]}" if len(value) >= 16 else "…")


def _bits(value: str) -> float:
    """Shannon entropy of a text in bits per character."""
    shares = [value.count(char) / len(value) for char in set(value)]
    return -sum(share * math.log2(share) for share in shares)
