"""What is said about wrong arguments: one sentence, and an example to follow."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence

from llmrepl.errors import UsageError
from llmrepl.formatting import closest_match, escape_name

MOST_SHOWN = 60
"""Characters shown of a wrong value."""


def missing(noun: str, example: str) -> UsageError:
    """Ask for an argument that was not given, such as a `provider`."""
    return UsageError(f"Which {noun}?", f"For example {example}")


def missing_next(noun: str, usage: str) -> UsageError:
    """Ask for an argument after others that were given, which `usage` repeats."""
    return UsageError(f"Which {noun}?", _shown(usage, 200))


def wrong_type(subject: str, takes: str, example: str) -> UsageError:
    """Tell what a command or an option takes, such as `a number of turns`, with an example."""
    return UsageError(f"'{subject}' takes {takes}, such as '{example}'.")


def wrong_choice(subject: str, value: str, choices: Sequence[str], command: str) -> UsageError:
    """Tell which values a command or an option takes; `command` is what precedes the value."""
    near = closest_match(value.lower(), choices)
    advice = f"Did you mean '{command} {near}'?" if near else f"{command} {choices[0]}"
    return UsageError(f"'{subject}' takes {enumerate_words(choices)}, not '{_shown(value)}'.", advice)


_JSON = {"--json": "--json", "--format": "--format json"}
"""The options that select JSON; a command has one of them."""


def unknown_option(command: str, option: str, options: Collection[str]) -> UsageError:
    """Refuse an option that the command does not have, with the closest one."""
    near = closest_match(option, options, 0.7)
    advice = f"{command} --help shows what it takes"
    if option in _JSON and (other := next((one for one in _JSON if one in options), "")):
        near, advice = None, f"{command} {_JSON[other]} prints JSON"
    return UsageError(f"'{command}' has no option '{_shown(option)}'.", f"Did you mean '{near}'?" if near else advice)


def missing_value(command: str, option: str, value: str) -> UsageError:
    """Ask for the value of an option, which the help calls `value`."""
    return UsageError(f"'{option}' needs a value.", f"{command} {option} {value}")


def needless_value(command: str, option: str) -> UsageError:
    """Refuse a value for an option that takes none."""
    return UsageError(f"'{option}' takes no value.", f"{command} {option}")


def too_many(command: str, takes: int, extra: str, advice: str = "") -> UsageError:
    """Refuse an argument after the last one that a command takes."""
    number = "no arguments" if not takes else "one argument" if takes == 1 else f"at most {takes} arguments"
    advice = advice or f"{command} --help shows what it takes"
    return UsageError(f"'{command}' takes {number}, but got '{_shown(extra)}'.", advice)


def question_for_chat(words: Sequence[str]) -> str:
    """Return the advice on words after `llm chat`."""
    return f"llm ask {_shown(shlex.quote(' '.join(words)), 200)} asks one question"


def unquoted_name(command: str, before: Sequence[str], name: Sequence[str]) -> UsageError:
    """Tell how to write a name with spaces, whose words are `name`."""
    words = [*before, " ".join(name)]
    return UsageError(f"A name with spaces needs quotes: {command} {_shown(shlex.join(words), 200)}")


def open_quote(line: str) -> UsageError:
    """Refuse a line whose last quote is not closed."""
    return UsageError(f"The quotes in ':{_shown(line)}' do not match.", "Close the quote, or put a \\ before it")


def elsewhere(name: str, interface: str, instead: str = "") -> UsageError:
    """Refuse a command that only works at the other `interface`; `instead` is what a terminal has in its place."""
    if interface == "prompt":
        hint = (
            f"llm {instead} works on a saved session" if instead else f":{name} works at the prompt, which llm starts"
        )
        return UsageError(f"'llm {name}' does not work outside the shell.", hint)
    return UsageError(f"':{name}' does not work at the prompt.", f"llm {name} works in a terminal")


def enumerate_words(words: Sequence[str]) -> str:
    """Join words as in a sentence: `one, two or three`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _shown(text: str, most: int = MOST_SHOWN) -> str:
    return escape_name(text if len(text) <= most else f"{text[:most]}…")
