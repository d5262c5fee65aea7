"""Citations in replies, in the formats of different servers.

Sources: OpenAI's `annotations` (platform.openai.com/docs/guides/tools-web-search), Perplexity's `citations` and
`search_results` (docs.perplexity.ai), Anthropic's citations (docs.claude.com), Gemini's `groundingMetadata`
(ai.google.dev/gemini-api/docs/google-search), docs.z.ai, console.groq.com/docs/compound.
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


def of_search(said: dict[str, Any]) -> Iterator[Citation]:
    """Yield the sources in a chunk, choice or message of a chat completion, whatever the server calls them.

    Perplexity has `search_results` and `citations`, xAI `citations`, OpenAI `annotations`, Z.ai `web_search`, DashScope
    `search_info`, Groq the results of `executed_tools`. The text refers to them by number in this order.
    """
    if said.keys().isdisjoint(_PLACES):
        return
    yield from of_annotations(said.get("annotations"))
    titles = {row["url"]: row for row in _dicts(said.get("search_results")) if isinstance(row.get("url"), str)}
    listed = said.get("citations")
    for url in listed[:_MOST] if isinstance(listed, list) else ():
        if isinstance(url, dict):
            yield from _citation(url)
        elif isinstance(url, str):
            yield from _citation(titles.get(url, {"url": url}))
    info = said.get("search_info")
    rows = [*titles.values(), *_dicts(said.get("web_search"))]
    rows += _dicts(info.get("search_results")) if isinstance(info, dict) else []
    for tool in _dicts(said.get("executed_tools")):
        results = tool.get("search_results")
        rows += _dicts(results.get("results")) if isinstance(results, dict) else []
    for row in rows:
        yield from _citation(row)


_PLACES = ("annotations", "search_results", "citations", "search_info", "web_search", "executed_tools")


def of_claude(citation: object) -> Iterator[Citation]:
    """Yield the source of an Anthropic citation: a web page or an attached document."""
    if isinstance(citation, dict):
        named = {"title": citation.get("title") or citation.get("document_title")}
        yield from _citation({**citation, **named})


def of_gemini(candidate: dict[str, Any]) -> Iterator[Citation]:
    """Yield the pages in a candidate's grounding, citations and URL context."""
    found = [candidate.get(name) for name in ("groundingMetadata", "citationMetadata", "urlContextMetadata")]
    grounding, cited, urls = (value if isinstance(value, dict) else {} for value in found)
    for chunk in _dicts(grounding.get("groundingChunks")):
        for kind in ("web", "retrievedContext", "maps"):
            page = chunk.get(kind)
            if isinstance(page, dict):
                yield from _citation(page)
    for page in [*_dicts(cited.get("citations")), *_dicts(cited.get("citationSources"))]:
        yield from _citation(page)
    for page in _dicts(urls.get("urlMetadata")):
        yield from _citation({"url": page.get("retrievedUrl")})


def _citation(found: dict[str, Any]) -> Iterator[Citation]:
    """Yield a citation from an object with an address or at least a name."""
    title = _line(found.get("title"))
    name = next((line for key in ("url", "uri", "link", "filename") if (line := _line(found.get(key)))), title)
    if name:
        yield Citation(name, title if title != name else "")


def _line(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value[:_MOST] if isinstance(item, dict)] if isinstance(value, list) else []
