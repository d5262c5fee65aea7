"""Where argument values come from: one set of candidates for the prompt and for shell completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.grammar.command_table import CommandTable
from llmrepl.commands.grammar.help_topics import TOPICS
from llmrepl.config.settings_table import EFFORTS
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name, pluralize
from llmrepl.models.factory import parameter_memory
from llmrepl.providers.local.model_file import SUFFIX, locate
from llmrepl.providers.refused_parameters import REASONING
from llmrepl.providers.vendors import LOCAL, OFFLINE_MODELS
from llmrepl.sessions.archive.trash import list_removed
from llmrepl.sessions.index.query import Row
from llmrepl.sessions.names import without_ending


@dataclass(frozen=True)
class Candidate:
    """A possible value, and a hint shown beside it."""

    value: str
    hint: str = ""


Source = Callable[[Workspace, str, str], Iterable[Candidate]]
"""Called with the workspace, the words before the cursor and the word being typed."""


def sessions(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return sessions with matching names, pinned ones first, with date, model, turns and title."""
    rows = workspace.name_index().match(workspace.directory(), word.strip("'\""))
    return (Candidate(without_ending(row.name), _about(row)) for row in sorted(rows, key=lambda row: not row.pinned))


def _about(row: Row) -> str:
    if row.damaged:
        return f"cannot be read: {row.damaged}"
    facts = (
        "★" if row.pinned else "",
        row.date.replace("T", " "),
        row.model,
        pluralize(row.turns, "turn") if row.model else "",
        row.title,
    )
    return "  ".join(part for part in facts if part)


def models(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the models known without network access, from cached lists or the price data."""
    if word.startswith(f"{LOCAL.name}/"):
        return _model_files(workspace, word)
    offline = [Candidate(f"offline/{name}", hint) for name, hint in OFFLINE_MODELS.items()]
    defaults = [Candidate(name) for name in workspace.default_models().remembered()]
    named = [Candidate(alias, f"alias of {model}") for alias, model in workspace.settings.aliases.items()]
    from llmrepl.chat.available import cached_models

    known = cached_models(workspace, word.partition("/")[0])
    listed = [Candidate(model.name, model.info.name) for model in known]
    return {candidate.value: candidate for candidate in [*named, *defaults, *offline, *listed]}.values()


def _model_files(workspace: Workspace, word: str) -> Iterator[Candidate]:
    """Yield the model files and the directories that the path after `local/` may go on with."""
    typed = word.partition("/")[2]
    folder = typed[: typed.rfind("/") + 1]
    try:
        entries = sorted(locate(folder, workspace.environment.cwd, workspace.paths.home).iterdir())
        for entry in entries:
            if entry.name.startswith(".") and not typed[len(folder) :].startswith("."):
                continue
            if entry.is_dir():
                yield Candidate(f"{LOCAL.name}/{folder}{entry.name}/")
            elif entry.suffix.lower() == SUFFIX:
                yield Candidate(f"{LOCAL.name}/{folder}{entry.name}", "model file")
    except OSError:
        return


def settings(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the shell settings."""
    return (Candidate(row.name, row.help) for row in workspace.settings.shell_settings())


def values(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the values of the setting named by the word before."""
    name = before.split()[-1] if before.split() else ""
    row = next((row for row in workspace.settings.rows() if name in (row.key, row.name)), None)
    if row is None:
        return ()
    if row.key == "default_model":
        return models(workspace, before, word)
    if row.kind == "effort":
        return [Candidate("default"), *efforts(workspace, "", word)]
    return (Candidate(value) for value in (("on", "off") if row.kind == "flag" else row.choices))


def prompts(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the saved prompts."""
    from llmrepl.chat.prompt_library import PromptLibrary

    saved = PromptLibrary(workspace.paths.config_dir / "prompts", workspace.settings.prompts)
    return (Candidate(name) for name in saved.names())


def variables(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the variables of the saved prompt that `:run NAME` names, with their defaults as hints."""
    from llmrepl.chat.prompt_library import PromptLibrary

    words = before.split()
    saved = PromptLibrary(workspace.paths.config_dir / "prompts", workspace.settings.prompts)
    try:
        found = saved.find(words[1]) if len(words) > 1 else None
    except UsageError:
        found = None
    wanted = found.variables.items() if found else ()
    return (Candidate(f"{name}=", default or "") for name, default in wanted if not name.isdigit())


def tags(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the tags of all sessions, with the number of sessions each."""
    tags = workspace.name_index().tags(workspace.directory())
    return (Candidate(tag, pluralize(number, "session")) for tag, number in sorted(tags.items()))


def removed(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return sessions in the trash and the archive."""
    paths = list_removed(workspace.directory())
    return [Candidate(name) for name in dict.fromkeys(without_ending(path.name) for path in paths)]


def providers(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the providers that need a key."""
    return (Candidate(name) for name in workspace.resolver().providers() if name != "offline")


def config(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return all settings."""
    return (Candidate(row.key, row.help) for row in workspace.settings.rows())


def budget(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the keywords that `:budget` accepts."""
    return (Candidate("status"), Candidate("increase", "add an amount in USD"), Candidate("off"))


def efforts(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the efforts that the model takes: the one named by `-m` before, or the current one."""
    typed = before.split()
    named = [name for option, name in pairwise(typed) if option in ("-m", "--model")]
    return (Candidate(name) for name in efforts_of(workspace, named[-1] if named else workspace.chat.model))


def efforts_of(workspace: Workspace, model: str) -> Sequence[str]:
    """Return the efforts that a model takes by its list; else all, or none if it once rejected one."""
    try:
        resolved = workspace.resolver().resolve(model)
    except UsageError:
        return EFFORTS
    if resolved.vendor is None or resolved.vendor is LOCAL:
        return ()
    info = workspace.model_lists().info(resolved)
    if info and info.efforts is not None:
        return info.efforts
    memory = parameter_memory(resolved, resolved.vendor, workspace.environment, workspace.paths)
    return () if not REASONING.isdisjoint(memory.changes(resolved.model)) else EFFORTS


def formats(workspace: Workspace, before: str, word: str) -> Iterable[Candidate]:
    """Return the export formats."""
    return (Candidate(name, help) for name, help in FORMATS.items())


FORMATS: Mapping[str, str] = {
    "txt": "plain text",
    "md": "Markdown",
    "csv": "one row per message, for spreadsheets",
    "json": "the session file itself",
    "html": "a page to read in a browser",
    "jsonl": "the context as OpenAI messages",
}
"""The export formats, duplicated so that completion does not load them."""

COMPLETE = "--complete"
"""Option that completion scripts pass to `llm`, followed by a source name, the word being typed and the one before."""

SOURCES: Mapping[str, Source] = {
    "sessions": sessions,
    "models": models,
    "settings": settings,
    "values": values,
    "efforts": efforts,
    "formats": formats,
    "prompts": prompts,
    "scripts": prompts,
    "variables": variables,
    "tags": tags,
    "budget": budget,
    "removed": removed,
    "providers": providers,
    "config": config,
}
"""The sources by name. `files`, `directories` and `commands` are handled by each interface."""


def help_topics(table: CommandTable, interface: str, words: Sequence[str] = ()) -> Iterable[Candidate]:
    """Return what may follow `words` after `help`: the commands available at an interface, and topics."""
    found = {name: c.help for name, c in sorted(table.spellings(interface).items())} | TOPICS
    lead = "".join(f"{word} " for word in words)
    return [Candidate(name[len(lead) :], what) for name, what in found.items() if name.startswith(lead)]


def filter_matching(candidates: Iterable[Candidate], word: str) -> list[Candidate]:
    """Return the candidates that begin with `word`, or else contain its letters in order, ignoring case."""
    typed = word.casefold()
    fit = [candidate for candidate in candidates if _fits(typed, candidate.value.casefold())]
    return [candidate for candidate in fit if candidate.value.casefold().startswith(typed)] or fit


def _fits(typed: str, value: str) -> bool:
    letters = iter(value)
    return all(letter in letters for letter in typed)


def complete_word(workspace: Workspace, source: str, word: str, before: str) -> Iterator[Candidate]:
    """Yield shell completions of `word` after the word `before`: values of a source that need no quoting."""
    typed = word.strip("'\"")
    values = SOURCES[source](workspace, before, typed) if source in SOURCES else ()
    for candidate in filter_matching(values, typed):
        if escape_name(candidate.value) == candidate.value:
            yield Candidate(candidate.value, escape_name(candidate.hint))
