"""Estimates tokens for servers that do not count them, rounded up so that costs are never underestimated."""

from __future__ import annotations

from llmrepl.providers.base import Request
from llmrepl.types import Attachment, Usage

BYTES_A_TOKEN = 3
_A_MESSAGE = 8
_AN_IMAGE = 2000
_A_PAGE = 2500
"""A page of a PDF, as text and image; Anthropic names 1,500 to 3,000 (docs.claude.com, PDF support)."""


def tokens(size: int) -> int:
    """Estimate the tokens of `size` bytes of UTF-8, rounded up."""
    return -(-size // BYTES_A_TOKEN)


def utf8_size(text: str) -> int:
    """Return the size of `text` in UTF-8; a lone surrogate counts as three bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def prompt_tokens(request: Request) -> int:
    """Estimate an upper bound on the tokens of a request: text by size, other attachments by a constant."""
    size = utf8_size(request.system or "")
    total = _A_MESSAGE if request.system else 0
    for message in request.messages:
        size += utf8_size(message.content)
        total += _A_MESSAGE
        for attachment in message.attachments:
            total += attachment_tokens(attachment)
    return total + tokens(size)


def attachment_tokens(attachment: Attachment) -> int:
    """Estimate the tokens of an attachment, by its pages or its size."""
    if attachment.media_type.startswith("text/"):
        return tokens(len(attachment.data))
    return (attachment.pages or 0) * _A_PAGE or max(_AN_IMAGE, tokens(len(attachment.data)) // 20)


def estimated(request: Request, replied: int) -> Usage:
    """Estimate the usage of a request whose reply has `replied` bytes (text and reasoning)."""
    return Usage(prompt_tokens(request), tokens(replied), estimated=True)
