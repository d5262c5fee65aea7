"""What a command returns. Commands never print: the interface renders the result on a screen, as text or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llmrepl.errors import LLMError
from llmrepl.types import Attachment, Message

Cell = str | int | float | None


@dataclass
class Note:
    """A message about what was done. It goes to stderr, so that stdout has results only."""

    text: str


@dataclass
class Column:
    """A column of a table. `kind`: `text`, `name`, `count` (tokens, turns), `usd`, `date` (ISO 8601) or `seconds`."""

    title: str
    kind: str = "text"


@dataclass(frozen=True)
class Narrowing:
    """A step that makes a table narrower: `column`, by title, loses a `part`.

    The part is `column` (all of it), `provider` (of a model's name) or `time` (of a date).
    """

    column: str
    part: Literal["column", "provider", "time"] = "column"


@dataclass
class Table:
    """Rows of unformatted values. `empty` is the message without rows. Rows `starred` are marked on a screen.

    `narrowing` states what a narrow terminal does without, first step first; the first column always stays.
    On a screen the `subtitles`, one for each row, follow the first cell where there is space.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    caption: str = ""
    empty: str = ""
    starred: Sequence[int] = ()
    narrowing: Sequence[Narrowing] = ()
    subtitles: Sequence[str] = ()


@dataclass
class Bar:
    """A row of a chart: its name, its formatted amount, and its length as a share (0 to 1) of the longest."""

    name: str
    amount: str
    share: float


@dataclass
class Chart:
    """A bar chart, drawn as wide as the screen."""

    bars: Sequence[Bar]


@dataclass
class Panel:
    """A box of text with a title."""

    title: str
    text: str


@dataclass
class Document:
    """Text output: an export, a help page, JSON. `brief` replaces it on a screen that is too small for it."""

    text: str
    brief: Result | None = None


@dataclass
class ShownTurn:
    """A turn of a transcript: its number and state, the prompt, and the reply, which is Markdown."""

    label: str
    question: str
    reply: str


@dataclass
class Transcript:
    """The turns of a conversation, oldest first. A pager begins at their end."""

    turns: Sequence[ShownTurn]


@dataclass
class Failed:
    """A failure besides other results; it sets the exit code."""

    failure: LLMError


@dataclass
class Group:
    """Several results, in order."""

    parts: Sequence[Result]


@dataclass
class StartChat:
    """Start or continue the open conversation. The options apply to scripts."""

    json: bool = False
    keep_going: bool = False
    allow_shell: bool = False


@dataclass
class SendPrompt:
    """Send `text` to the model, or to another `model` this once, replacing the failed turn `replaces`.

    The turns `undoes` leave the context once the prompt is admitted. `attachments` are sent with it, by default those
    that wait for the next prompt. With `keep` it becomes a turn of the open session, with the fields `marks`, such as
    `aside`; `json` selects the output format of the reply. An `edited` text that cannot be sent is offered as the next
    draft. The reply has to fit the JSON Schema `schema`; with `schema_retry` one that does not is asked for once more.
    `context` are the messages before `text`, by default those of the open session.
    """

    text: str
    model: str | None = None
    system: str | None = None
    replaces: int | None = None
    undoes: Sequence[int] = ()
    attachments: Sequence[Attachment] | None = None
    keep: bool = True
    json: bool = False
    edited: bool = False
    marks: Mapping[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    schema_retry: bool = False
    context: Sequence[Message] | None = None


@dataclass
class CompareModels:
    """Ask `models` the question `text`, by default the last prompt, one after the other."""

    text: str | None
    models: Sequence[str]


@dataclass
class EditText:
    """Open `text` in the user's editor; `then` turns the edited text into the next result."""

    text: str
    then: Callable[[str], Result]


@dataclass
class ReadSecret:
    """Prompt for hidden input; `then` turns it into the next result."""

    prompt: str
    then: Callable[[str], Result]


@dataclass
class ReadLine:
    """Prompt for a line of text; `then` turns it into the next result. A script fails with `missing`."""

    prompt: str
    then: Callable[[str], Result]
    missing: LLMError


@dataclass
class Confirm:
    """Ask a yes-or-no question; `then` gives the next result if the answer is yes. A script is not asked.

    Enter alone is the `default`; `otherwise` gives the next result if the answer is no.
    """

    question: str
    then: Callable[[], Result]
    default: bool = False
    otherwise: Callable[[], Result] | None = None


@dataclass
class CopyText:
    """Copy `text` to the clipboard, verbatim; `what` describes it."""

    text: str
    what: str


@dataclass
class RunProgram:
    """Run a program that uses the terminal; `then` turns its exit code into the next result."""

    run: Callable[[], int]
    then: Callable[[int], Result]


@dataclass
class PickOne:
    """Let the user pick one of `choices`; `then` turns its name into the next result.

    Without a terminal the names are listed, and `usage` tells how to give one.
    """

    choices: Sequence[PickItem]
    then: Callable[[str], Result]
    usage: str


@dataclass
class PickItem:
    """An item to pick: its name, details in columns, and a preview shown while it is selected."""

    name: str
    details: Sequence[str]
    preview: Callable[[], str]
    starred: bool = False


@dataclass
class RunScript:
    """Run the lines of a script called `name`; `arguments` are its $1, $2 …"""

    name: str
    lines: Sequence[str]
    arguments: Sequence[str] = field(default_factory=tuple)


@dataclass
class Exit:
    """Leave the shell."""


Output = Note | Failed | Table | Chart | Panel | Document | Transcript
Action = (
    StartChat
    | SendPrompt
    | CompareModels
    | EditText
    | ReadSecret
    | ReadLine
    | Confirm
    | CopyText
    | RunProgram
    | PickOne
    | RunScript
    | Exit
)
Result = Output | Action | Group
