"""Ask several models the same question, and show their answers one below the other with a table of figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmrepl.chat.attachments.prompt_text import append_texts
from llmrepl.chat.comparison import Comparison
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.results import Column, CompareModels, Group, Narrowing, Note, Result, Table
from llmrepl.errors import OK, most_severe
from llmrepl.formatting import escape_name, pluralize

if TYPE_CHECKING:
    from llmrepl.chat.turn import ChatTurn, TurnResult

PICK = "':pick N' continues with one of them."


def run(
    workspace: Workspace,
    result: CompareModels,
    *,
    confirm: Callable[[str], bool],
    stream: Callable[[ChatTurn, str, str], None],
    show: Callable[[Result], None],
) -> int:
    """Ask each model; return the most severe exit code.

    `confirm` asks whether to send a text, `stream` renders the reply to it under a heading, `show` renders a result.
    Raises LLMError if nothing could be sent.
    """
    comparison = Comparison(workspace, result.text, result.models)
    text, attached = comparison.question.text, list(comparison.question.attachments)
    if not confirm(append_texts(text, attached)):
        show(Note("nothing was sent"))
        return OK
    codes: list[int] = []
    ended: list[TurnResult] = []
    try:
        with comparison:
            for number, (model, chat_turn) in enumerate(zip(result.models, comparison.turns(), strict=True), 1):
                heading = f"[{number}] {escape_name(model)}"
                try:
                    stream(chat_turn, text, heading if number == 1 else f"\n{heading}")
                finally:
                    if turn_result := chat_turn.turn_result:
                        ended.append(turn_result)
                        codes += [failed.code for failed in (turn_result.failure, turn_result.unsaved) if failed]
    except KeyboardInterrupt:
        if any(one.text for one in ended):
            show(Note(f"Stopped after {len(ended)} of {pluralize(len(result.models), 'answer')}.\n{PICK}"))
        raise
    note = [Note(PICK)] if any(one.text for one in ended) else []
    show(Group([_table(ended), *note]))
    return most_severe(codes)


def _table(ended: Sequence[TurnResult]) -> Table:
    """Return a row for each answer."""
    rows = [
        (
            number,
            one.model,
            round(one.latency_ms / 1000, 1),
            one.usage.total_tokens if one.usage else None,
            one.cost if one.usage else None,
            one.finish_reason,
        )
        for number, one in enumerate(ended, 1)
    ]
    columns = (
        Column("Answer", "count"),
        Column("Model", "name"),
        Column("Seconds", "seconds"),
        Column("Tokens", "count"),
        Column("Cost", "usd"),
        Column("Ended"),
    )
    steps = (Narrowing("Tokens"), Narrowing("Model", "provider"), Narrowing("Ended"))
    return Table(columns, rows, title="Comparison:", narrowing=steps)
