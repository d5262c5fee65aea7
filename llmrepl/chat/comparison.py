"""Ask several models the same question. Each answer is a branch of the conversation until one is picked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from llmrepl.chat.turn import ChatTurn, ask
from llmrepl.chat.workspace import Workspace
from llmrepl.errors import BudgetError, UsageError
from llmrepl.formatting import pluralize
from llmrepl.sessions.branches import changes_to_pick, last_comparison, main_line_after
from llmrepl.types import Attachment, Message

if TYPE_CHECKING:
    from llmrepl.sessions.model import Session, Turn


@dataclass(frozen=True)
class Question:
    """What is asked: `text` and `attachments` after the messages `context`, which end with the turn `parent_id`."""

    text: str
    attachments: Sequence[Attachment]
    context: Sequence[Message]
    parent_id: str


class Comparison:
    """The same question to several models, one after the other.

    Entering the `with` block checks every model and reserves money for all answers; nothing was sent if it raises
    UsageError or BudgetError. `text` is the question, by default the last prompt.
    """

    def __init__(self, workspace: Workspace, text: str | None, models: Sequence[str]) -> None:
        self._workspace = workspace
        self._models = models
        self._waiting = workspace.chat.attachments
        open_session = workspace.chat.open_session()
        if text is None:
            self.question = _last_question(open_session.session)
        else:
            session = open_session.session
            context = list(session.context())
            self.question = Question(text, list(self._waiting), context, session.main_id())
        self._takes_attachments = text is not None
        self._turns: list[ChatTurn] = []

    def __enter__(self) -> Comparison:
        question = self.question
        marks = {"branch": True, "comparison": os.urandom(8).hex(), "parent_id": question.parent_id}
        self._turns = [
            ask(
                self._workspace,
                question.text,
                model=model,
                context=question.context,
                attachments=question.attachments,
                marks=marks,
                fallback=False,
            )
            for model in self._models
        ]
        tracker, count = self._workspace.cost_tracker(), len(self._turns)
        limits = tracker.shares(count)
        try:
            for turn in self._turns:
                turn.reserve(limits)
        except BaseException as error:
            self._release()
            if isinstance(error, BudgetError) and count > 1 and all(limit.left(spent) for limit, spent in limits):
                models = pluralize(count, "model")
                raise BudgetError(f"The budget left is too little for the answers of {models}.", error.hint) from error
            raise
        if self._takes_attachments:
            self._workspace.chat.attachments = []
        return self

    def turns(self) -> Iterator[ChatTurn]:
        """Yield the turn of each model, to be entered."""
        while self._turns:
            yield self._turns.pop(0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._takes_attachments and len(self._turns) == len(self._models):
            self._workspace.chat.attachments = self._waiting
        self._release()

    def _release(self) -> None:
        """Release the money of the turns that were not entered."""
        while self._turns:
            self._turns.pop().release()


def _last_question(session: Session) -> Question:
    """Return the last prompt with what came before it. Raises UsageError if there is none."""
    numbered = reversed(list(enumerate(session.turns, 1)))
    usable = ((n, one) for n, one in numbered if not one.undone and not one.is_aside)
    number, last = next(((n, one) for n, one in usable if one.comparison or one.branch is not True), (0, None))
    if last is None:
        raise UsageError("There is no prompt to compare.", "':compare MODEL MODEL -- TEXT' asks one.")
    parent = session.parent_id(number)
    context = session.context_without(main_line_after(session, parent))
    return Question(last.text_of("user"), last.attachments, list(context), parent)


def pick(workspace: Workspace, number: int) -> tuple[Turn, int]:
    """Continue with answer `number` of the last comparison; return it, and how many turns left the context for it.

    Raises UsageError, SaveError.
    """
    open_session = workspace.chat.current
    answers = last_comparison(open_session.session) if open_session else []
    if open_session is None or not answers:
        raise UsageError("There is no comparison to pick from.", "':compare MODEL MODEL -- TEXT' makes one.")
    if not 1 <= number <= len(answers):
        what = f"The comparison has {pluralize(len(answers), 'answer')}."
        raise UsageError(what, f"':pick' takes a number from 1 to {len(answers)}.")
    picked = answers[number - 1]
    _check_usable(open_session.session, picked, number)
    session = open_session.session
    now = workspace.environment.now().isoformat(timespec="microseconds")
    changes = changes_to_pick(session, picked, now)
    if not changes:
        raise UsageError(f"Answer {number} is part of the conversation.", "':pick N' takes another one.")
    left = sum(session.turns[one - 1].in_context for one, values in changes.items() if values.get("branch"))
    for one, values in changes.items():
        open_session.update_turn(one, **values)
    return session.turns[picked - 1], left


def _check_usable(session: Session, picked: int, number: int) -> None:
    if not session.turns[picked - 1].text_of("assistant"):
        raise UsageError(f"Answer {number} failed.", "':history' shows the others.")
    if picked <= session.context_start:
        raise UsageError("The context was cleared after that comparison.", f"':fork --at {picked}' continues from it.")
