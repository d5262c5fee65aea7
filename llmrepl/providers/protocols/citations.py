"""Citations in replies, in the formats of different servers.

Sources: OpenAI's `annotations` (platform.openai.com/docs/guides/tools-web-search), Perplexity's `citations` and
`search_results` (docs.perplexity.ai), Anthropic's citations (docs.claude.com), Gemini's `groundingMetadata`
(ai.google.dev/gemini-api/docs/google-search).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmrepl.types import Citation

_MOST = 200


def of_annotations(annotations: object) -> Iterator[Citation]:
    """Yield the sources in OpenAI annotations: `url_citation`, flat or nested, and files by name."""
    for annotation in _dicts(annotations):
        inner = annotation.get("url_citation")
        yield from _citation(inner if isinstance(inner, dict) else annotation)


def of_search(reply: dict[str, Any]) -> Iterator[Citation]:
    """Yield the sources of a chat completion: Perplexity's `search_results` and `citations`, xAI's `citations`.

    The text refers to them by number in this order.
    """
    titles = {row["url"]: row for row in _dicts(reply.get("search_results")) if isinstance(row.get("url"), str)}
    listed = reply.get("citations")
    for url in listed[:_MOST] if isinstance(listed, list) else ():
        if isinstance(url, dict):
            yield from _citation(url)
        elif isinstance(url, str):
            yield from _citation(titles.get(url, {"url": url}))
    for row in titles.values():
        yield from _citation(row)


def of_claude(citation: object) -> Iterator[Citation]:
    """Yield the source of an Anthropic citation: a web page or an attached document."""
    if isinstance(citation, dict):
        named = {"title": citation.get("title") or citation.get("document_title")}
        yield from _citation({**citation, **named})


def of_grounding(metadata: object) -> Iterator[Citation]:
    """Yield the pages in Gemini's grounding metadata."""
    chunks = metadata.get("groundingChunks") if isinstance(metadata, dict) else None
    for chunk in _dicts(chunks):
        for kind in ("web", "retrievedContext", "maps"):
            page = chunk.get(kind)
            if isinstance(page, dict):
                yield from _citation({**page, "url": page.get("uri")})


def _citation(found: dict[str, Any]) -> Iterator[Citation]:
    """Yield a citation from an object with an address or at least a name."""
    title = _line(found.get("title"))
    name = _line(found.get("url")) or _line(found.get("filename")) or title
    if name:
        yield Citation(name, title if title != name else "")


def _line(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value[:_MOST] if isinstance(item, dict)] if isinstance(value, list) else []
