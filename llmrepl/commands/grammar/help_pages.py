"""The help pages: an overview for the prompt and one for the terminal, all commands, a group, a command."""

from __future__ import annotations

from collections.abc import Sequence

from llmrepl.commands.grammar.command_table import CommandTable
from llmrepl.commands.grammar.help_topics import API_KEYS, KEYBOARD, TOPICS
from llmrepl.commands.registry import BOTH, PROMPT, TERMINAL, Command, parser_for
from llmrepl.errors import UsageError
from llmrepl.formatting import closest_match, escape_name

GROUPS = {
    "conversation": "Chat",
    "sessions": "Sessions",
    "costs": "Money",
    "models": "Models",
    "configuration": "Settings",
    "program": "More",
}
"""The groups of commands in the order of the help, with their titles."""

FIRST = {
    "conversation": ("retry", "undo", "attach", "copy", "system", "new"),
    "sessions": ("save", "load", "sessions", "search", "export"),
    "costs": ("cost", "budget"),
    "models": ("model", "models"),
    "configuration": ("set", "keys"),
    "program": ("exit",),
}
"""The commands in `:help`, which fits a screen of 24 rows."""

_USAGE = (
    ("llm", "chat with a model; 'llm chat --help' lists the options"),
    ("llm -c", "resume the latest session"),
    ("llm ask QUESTION", "ask one question; piped text is added to it"),
    ("llm COMMAND", "run a command"),
)


def help_page(table: CommandTable, words: Sequence[str], interface: str) -> str:
    """Return the page on `words`: a topic, a group or a command. Raises UsageError if there is none."""
    topic = " ".join(words).lower()
    if not topic:
        return prompt_overview(table) if interface == PROMPT else terminal_overview(table)
    if topic == "all":
        return all_page(table, interface)
    if topic in TOPICS and topic != "api-keys":
        return KEYBOARD.rstrip()
    if topic == "api-keys":
        return f"{API_KEYS}\n{table.group_page('keys', interface)}"
    if table.is_group(words):
        return table.group_page(words[0], interface)
    other = TERMINAL if interface == PROMPT else PROMPT
    spelled = {where: table.spellings(where) for where in (interface, other)}
    for where in (interface, other):
        if found := spelled[where].get(" ".join(words)):
            return parser_for(found, where).format_help().rstrip()
    mark = ":" if interface == PROMPT else "llm "
    near = closest_match(topic, [*TOPICS, *spelled[interface]])
    hint = f"Did you mean '{mark}help {near}'?" if near else f"{mark}help all lists the commands"
    raise UsageError(f"There is no help on '{escape_name(topic[:60])}'.", hint)


def prompt_overview(table: CommandTable) -> str:
    """Return what a new user needs first, a line for each command."""
    lines = ["Type a question, or a command. Commands begin with a colon."]
    spelled = table.spellings(PROMPT)
    for group, names in FIRST.items():
        title = GROUPS[group]
        for name in names:
            lines.append(f"{title:9} {':' + name:10} {spelled[name].help}")
            title = ""
    lines.append(":help COMMAND explains one, :help keys the keyboard, :help all lists the rest.")
    return "\n".join(lines)


def terminal_overview(table: CommandTable) -> str:
    """Return the usage of `llm` and the commands that work in a terminal."""
    lines = [f"{'usage:' if not number else '':6} {use:18} {what}" for number, (use, what) in enumerate(_USAGE)]
    lines += ["", *_by_group(table.at(TERMINAL), TERMINAL), ""]
    lines.append("llm help COMMAND explains one. 'llm' starts the prompt, which has more commands: type :help there.")
    return "\n".join(lines)


def all_page(table: CommandTable, interface: str) -> str:
    """Return all commands by group, a line each."""
    mark = ":" if interface == PROMPT else "llm "
    return "\n".join([*_by_group(table.commands, interface), "", f"{mark}help COMMAND explains one."])


def _by_group(commands: Sequence[Command], interface: str) -> list[str]:
    width = max(len(_shown(c, interface)) for c in commands)
    lines: list[str] = []
    for group, title in GROUPS.items():
        rows = [f"  {_shown(c, interface):{width}}  {c.help}" for c in commands if c.group == group]
        lines += [title, *rows] if rows else []
    return lines


def _shown(row: Command, interface: str) -> str:
    """Return the name and the aliases of a command as typed, at the interface where it works."""
    at_prompt = row.where == PROMPT or (row.where == BOTH and interface == PROMPT)
    mark = ":" if at_prompt else "llm "
    return ", ".join(f"{mark}{name}" for name in (row.name, *row.aliases))
