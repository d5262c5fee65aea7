"""Where the values of arguments come from: the same candidates for Tab at the prompt and in the system's shells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import CommandTable
from llmrepl.formatting import escape_name, pluralize
from llmrepl.models.resolver import DEFAULT_MODELS
from llmrepl.providers.vendors import OFFLINE_MODELS
from llmrepl.sessions.archive.trash import list_removed
from llmrepl.sessions.index.query import Row
from llmrepl.sessions.names import without_ending


@dataclass(frozen=True)
class Candidate:
    """A value that may stand here, and a hint that is shown beside it."""

    value: str
    hint: str = ""


Source = Callable[[Workspace, str, str], Iterable[Candidate]]
"""Makes the candidates for a workspace, the words typed before, and what is typed of the word itself."""


def sessions(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """The sessions whose names fit, with date, model, turns and title."""
    rows = workspace.name_index().match(workspace.directory(), word.strip("'\""))
    return (Candidate(without_ending(row.name), _about(row)) for row in rows)


def _about(row: Row) -> str:
    if row.damaged:
        return f"cannot be read: {row.damaged}"
    known = (row.date.replace("T", " "), row.model, pluralize(row.turns, "turn") if row.model else "", row.title)
    return "  ".join(part for part in known if part)


def models(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """The models that are known without asking anyone: of the lists that were fetched, else of the price data."""
    offline = [Candidate(f"offline/{name}", hint) for name, hint in OFFLINE_MODELS.items()]
    usual = [Candidate(f"{vendor}/{model}") for vendor, model in DEFAULT_MODELS.items()]
    named = [Candidate(alias, f"alias of {model}") for alias, model in workspace.settings.aliases.items()]
    from llmrepl.chat.available import known as known_models

    known = known_models(workspace, word.partition("/")[0])
    listed = [Candidate(offer.name, offer.info.name) for offer in known]
    return {candidate.value: candidate for candidate in [*named, *usual, *offline, *listed]}.values()


def settings(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """The settings of the shell."""
    return (Candidate(row.name, row.help) for row in workspace.settings.of_shell())


def values(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """The values that a setting may have; the setting is the word before."""
    name = before.split()[-1] if before.split() else ""
    row = next((row for row in workspace.settings.of_shell() if name in (row.key, row.name)), None)
    if row is None:
        return ()
    return (Candidate(resolver) for resolver in (("on", "off") if row.kind == "flag" else row.choices))


def tags(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """The tags that sessions have, with how many have each."""
    tags = workspace.name_index().tags(workspace.directory())
    return (Candidate(tag, pluralize(number, "session")) for tag, number in sorted(tags.items()))


def removed(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """What could be brought back from the trash and the archive."""
    paths = list_removed(workspace.directory())
    return [Candidate(name) for name in dict.fromkeys(without_ending(path.name) for path in paths)]


def providers(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """The providers that a key can be kept for."""
    return (Candidate(name) for name in workspace.resolver().providers() if name != "offline")


def config(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Every setting."""
    return (Candidate(row.key, row.help) for row in workspace.settings.rows())


def budget(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """What `:budget` understands beside an amount."""
    return (Candidate("status"), Candidate("increase", "by so many USD"), Candidate("off"))


def formats(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """The export formats."""
    return (Candidate(name, help) for name, help in FORMATS.items())


FORMATS: Mapping[str, str] = {
    "txt": "plain text",
    "md": "Markdown",
    "csv": "a row a message, for spreadsheets",
    "json": "the session file itself",
    "html": "one page to read in a browser",
    "jsonl": "OpenAI's messages, what the model is shown",
}
"""The export formats, known here without loading them."""

COMPLETE = "--complete"
"""What the completion scripts call `llm` with, then the name of a source and the word that is typed."""

SOURCES: Mapping[str, Source] = {
    "sessions": sessions,
    "models": models,
    "settings": settings,
    "values": values,
    "formats": formats,
    "tags": tags,
    "budget": budget,
    "removed": removed,
    "providers": providers,
    "config": config,
}
"""The sources by the names that arguments give. `files`, `directories` and `commands` are the face's own."""


def commands(table: CommandTable, interface: str) -> Iterable[Candidate]:
    """The commands at a face."""
    return (Candidate(name, c.help) for name, c in sorted(table.spellings(interface).items()))


def fitting(candidates: Iterable[Candidate], word: str) -> list[Candidate]:
    """The candidates that begin with `word`, else those that have its letters in their order, whatever their case."""
    typed = word.casefold()
    fit = [candidate for candidate in candidates if _fits(typed, candidate.value.casefold())]
    return [candidate for candidate in fit if candidate.value.casefold().startswith(typed)] or fit


def _fits(typed: str, value: str) -> bool:
    letters = iter(value)
    return all(letter in letters for letter in typed)


def offered(workspace: Workspace, source: str, word: str) -> Iterator[Candidate]:
    """What a completion of the system's shell offers: values of a source that stand in a line as they are."""
    typed = word.strip("'\"")
    values = SOURCES[source](workspace, "", typed) if source in SOURCES else ()
    for candidate in fitting(values, typed):
        if escape_name(candidate.value) == candidate.value:
            yield Candidate(candidate.value, escape_name(candidate.hint))
