"""Generates the reference page and the completion scripts."""

from __future__ import annotations

import argparse
from dataclasses import replace

import shtab

from llmrepl.commands.app import SCRIPTS
from llmrepl.commands.grammar.command_table import CommandTable
from llmrepl.commands.grammar.help_pages import GROUPS
from llmrepl.commands.grammar.help_topics import TOPICS
from llmrepl.commands.registry import BOTH, PROMPT, TERMINAL, Command, add_arguments, example_of
from llmrepl.commands.table import all_commands
from llmrepl.commands.value_sources import SOURCES
from llmrepl.completion.live_values import for_both_names, live_completer

WHERE = {BOTH: "at the prompt and in a terminal", PROMPT: "at the prompt", TERMINAL: "in a terminal"}


def generate() -> dict[str, str]:
    """Return the text of every generated file by its path relative to the checkout."""
    table = all_commands()
    files = {"docs/commands.md": reference(table)}
    for shell, name in SCRIPTS.items():
        files[f"completions/{name}"] = for_both_names(shell, shtab.complete(tree(table), shell=shell).rstrip()) + "\n"
    return files


def reference(table: CommandTable) -> str:
    """Return the reference page: every command with its interfaces, arguments and an example."""
    lines = [
        "# Commands",
        "",
        "What can follow `llm ` in a terminal can follow `:` at the prompt, with the same words and options.",
        "This page is made from the table of commands.",
        "",
    ]
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        for command in table.commands:
            if command.group == group:
                lines += _entry(command)
    return "\n".join(lines).rstrip() + "\n"


def _entry(command: Command) -> list[str]:
    interface = PROMPT if command.where == PROMPT else TERMINAL
    lines = [f"### {command.name}", "", f"{command.help[0].upper()}{command.help[1:]}. Works {WHERE[command.where]}."]
    if command.aliases:
        lines.append(f"Also: {', '.join(f'`{a}`' for a in command.aliases)}.")
    lines.append("")
    for a in command.arguments:
        value = "" if a.positional or a.switch else f" {a.metavar or a.dest.upper()}"
        lines.append(f"- `{', '.join(a.flags)}{value}`: {a.help}{_choices(a.choices)}")
    if command.arguments:
        lines.append("")
    return [*lines, "```", example_of(command, interface), "```", ""]


def _choices(choices: tuple[str, ...]) -> str:
    return f" ({', '.join(choices)})" if choices else ""


def tree(table: CommandTable) -> argparse.ArgumentParser:
    """Build one argparse parser with all terminal commands as subcommands, for shtab."""
    root = argparse.ArgumentParser(prog="llm", description="a shell for language models")
    root.add_argument("--version", action="store_true", help="show the version")
    spelled = table.spellings(TERMINAL)
    _add(root, spelled["chat"])  # `llm -c` is `llm chat -c`
    groups: dict[tuple[str, ...], argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    groups[()] = root.add_subparsers()
    named = sorted((tuple(name.split()), c) for name, c in spelled.items())
    named += [(("help", *words), c) for words, c in named if words != ("help",)]
    named += [(("help", topic), replace(spelled["help"], help=what)) for topic, what in TOPICS.items()]
    named = list(dict(named).items())
    heads = {words[:n] for words, _ in named for n in range(1, len(words))}
    for words, command in sorted(named, key=lambda row: len(row[0])):
        for n in range(1, len(words)):
            if words[:n] not in groups:
                head = groups[words[: n - 1]].add_parser(words[n - 1], help=f"{words[n - 1]} …")
                groups[words[:n]] = head.add_subparsers()
        if words in heads:  # a group that is also a command: its subcommands complete, its options do not
            continue
        parser = groups[words[:-1]].add_parser(words[-1], help=command.help)
        if words[0] != "help":
            _add(parser, command)
    return root


def _add(parser: argparse.ArgumentParser, command: Command) -> None:
    """Add the arguments of a command to a parser, each with the completion of its values."""
    for dest, action in add_arguments(parser, command).items():
        source = next(a.source for a in command.arguments if a.dest == dest)
        if source in ("files", "directories"):
            action.complete = shtab.FILE if source == "files" else shtab.DIRECTORY  # type: ignore[attr-defined]
        elif source in SOURCES:
            action.complete = live_completer(source)  # type: ignore[attr-defined]
