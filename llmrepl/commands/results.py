"""What a command answers. A command never prints: the face draws its reply, on a screen, as plain text or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmrepl.errors import LLMError

Cell = str | int | float | None


@dataclass
class Note:
    """Something said about what was done. It goes to stderr, so that stdout holds results only."""

    text: str


@dataclass
class Column:
    """A column of a table. `kind`: `text`, `name`, `count` (tokens, turns), `usd`, `date` (ISO 8601) or `seconds`."""

    title: str
    kind: str = "text"


@dataclass
class Table:
    """Rows of values as they are; the face formats them. `empty` is said instead when there are no rows."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    caption: str = ""
    empty: str = ""


@dataclass
class Panel:
    """A box of text with a title, as `show` has them."""

    title: str
    text: str


@dataclass
class Document:
    """A text that is the result: an export, a page of help, JSON.

    `brief` is shown instead on a screen that the text does not fit on.
    """

    text: str
    brief: Result | None = None


@dataclass
class Failed:
    """Something that failed although the command could answer; its exit code is the command's."""

    failure: LLMError


@dataclass
class Group:
    """More than one reply, in order."""

    parts: Sequence[Result]


@dataclass
class StartChat:
    """A wish to start (or go on with) the conversation that the workspace has open.

    `json` and `keep_going` say how a script in place of a person is answered.
    """

    json: bool = False
    keep_going: bool = False


@dataclass
class SendPrompt:
    """A wish to ask the model `text`, maybe another `model` this once, in the place of the failed turn `replaces`.

    With `keep` it is a turn of the open session; `json` says how the reply is drawn.
    """

    text: str
    model: str | None = None
    system: str | None = None
    replaces: int | None = None
    keep: bool = True
    json: bool = False


@dataclass
class EditText:
    """A wish to edit `text` in the user's editor; `then` makes the next reply of what comes out."""

    text: str
    then: Callable[[str], Result]


@dataclass
class ReadSecret:
    """A wish to let the user type something unseen; `then` makes the next reply of it."""

    prompt: str
    then: Callable[[str], Result]


@dataclass
class CopyText:
    """A wish to put `text` into the clipboard, exactly as it is; `what` names it."""

    text: str
    what: str


@dataclass
class PickOne:
    """A wish to let the user pick one of `choices`; `then` makes the next reply of it.

    Without a terminal the names are listed, and `usage` says how to name one.
    """

    choices: Sequence[PickItem]
    then: Callable[[str], Result]
    usage: str


@dataclass
class PickItem:
    """Something to pick: its name, a hint beside it, and what is shown of it while it is selected."""

    name: str
    hint: str
    preview: Callable[[], str]


@dataclass
class RunScript:
    """A wish to run the inputs in the lines of a script called `name`, `arguments` being $1, $2 … of it."""

    name: str
    lines: Sequence[str]
    arguments: Sequence[str] = field(default_factory=tuple)


@dataclass
class Exit:
    """A wish to leave the shell."""


Shown = Note | Failed | Table | Panel | Document
Wish = StartChat | SendPrompt | EditText | ReadSecret | CopyText | PickOne | RunScript | Exit
Result = Shown | Wish | Group
