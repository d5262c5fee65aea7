"""Every change that the program makes to a session is kept by a merge with the session before the change.

Git does not ask its merge driver where only one side changed a file, and takes that side. The files of all machines are
equal in the end only if the driver would have done the same.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmrepl.sessions.merge import merge
from llmrepl.sessions.model import ERROR, INTERRUPTED, Session
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.types import Citation, Usage

NOW = datetime(2026, 11, 25, 5, 19, 32, 123456)
MODELS = ("m/x", "m/y", "n/z")
REASONS = ("stop", "length", INTERRUPTED, ERROR)

STEPS = st.one_of(
    st.tuples(st.sampled_from(["ask", "retry"]), st.tuples(st.integers(-60, 60), *[st.integers(0, 3)] * 2)),
    st.tuples(st.sampled_from(["undo", "tag", "untag", "title", "model", "system", "meta"]), st.integers(0, 5)),
    st.tuples(st.sampled_from(["reset", "summarize", "request"]), st.integers(0, 3)),
)


class Shell:
    """A session in memory, and a clock that may be set back."""

    def __init__(self, session: Session) -> None:
        self.open_session = OpenSession(session, None, nullcontext)
        self.clock = NOW

    @property
    def session(self) -> Session:
        return self.open_session.session

    def do(self, step: tuple[str, Any]) -> None:
        what, value = step
        if what in ("ask", "retry"):
            self._ask(*value, again=what == "retry")
        elif what == "undo" and self.session.turns:
            at = value % len(self.session.turns) + 1
            self.open_session.update_turn(at, undone=None if self.session.turns[at - 1].undone else True)
        elif what in ("model", "system"):
            self.open_session.set_header(**{what: MODELS[value % 3]})
        elif self.session.turns:
            self._change(what, value)
            self.open_session.set_header(meta=self.session.meta)

    def _ask(self, seconds: int, model: int, reason: int, *, again: bool) -> None:
        self.clock += timedelta(seconds=seconds)
        turns = self.session.turns
        number = len(turns) if again and turns and turns[-1].finish_reason == ERROR else None
        text = turns[-1].text_of("user") if number else f"question {len(turns)}"
        created_at = self.clock.isoformat(timespec="microseconds")
        number = self.open_session.begin_turn(text, created_at, MODELS[model % 3], number)
        reply = "" if REASONS[reason] == ERROR else "yes"
        usage = Usage(1, seconds % 7) if seconds % 2 else None
        citations = [Citation("https://example.org", f"{seconds}")] if reply and model else []
        self.open_session.complete(number, Completion(reply, REASONS[reason], 1.5, usage, None, citations))

    def _change(self, what: str, value: int) -> None:
        session, tag = self.session, "abc"[value % 3]
        if what in ("tag", "untag"):
            session.set_meta("tags", sorted({*session.tags} | {tag} if what == "tag" else {*session.tags} - {tag}))
        elif what == "title":
            session.set_meta("title", f"title {value}" if value else session.turns[0].text_of("user"))
        elif what == "meta":
            session.set_meta("note", (None, "a", "b", ["c"], {"d": 1}, 2)[value])
        elif what == "reset":
            session.reset_context()
        elif what == "summarize":
            session.summarize(f"summary {value}")
        elif what == "request":
            session.add_request(Usage(value, 1) if value else None, 0.5 if value > 1 else None)


def as_bytes(session: Session) -> bytes:
    return session_file.dump(session)


def older() -> Session:
    """A session of a program that knows nothing of ids."""
    turns = [
        {"messages": [{"role": "user", "content": f"older {n}"}, {"role": "assistant", "content": "yes"}]}
        for n in range(2)
    ]
    return Session.model_validate({"model": "openai/gpt-4o-mini", "created_at": "2024-01-08T14:30:22", "turns": turns})


@settings(deadline=None)
@given(st.booleans(), st.lists(STEPS, max_size=6), st.lists(STEPS, max_size=3), st.lists(STEPS, min_size=1, max_size=4))
@example(False, [("ask", (0, 0, 3)), ("undo", 0)], [], [("retry", (-30, 1, 3))])
@example(False, [("ask", (1, 0, 3))], [], [("retry", (0, 0, 0))])
@example(False, [("ask", (0, 0, 0))] * 2, [], [("summarize", 0), ("reset", 0)])
@example(True, [], [], [("title", 1), ("ask", (0, 0, 0)), ("title", 2)])
@example(True, [("model", 1)], [], [("model", 0)])
def test_a_change_is_kept_by_a_merge_with_the_session_before(
    is_older: bool, steps: list[Any], elsewhere: list[Any], changes: list[Any]
) -> None:
    shell = Shell(older() if is_older else Session.start("m/x", None, NOW))
    for step in steps:
        shell.do(step)
    other = Shell(shell.session.model_copy(deep=True))
    for step in elsewhere:
        other.do(step)
    shell = Shell(merge(shell.session, other.session).model_copy(deep=True))
    for step in changes:
        before, has_file = as_bytes(shell.session), bool(shell.session.turns)
        shell.do(step)
        if not has_file:
            continue
        after = as_bytes(shell.session)
        one, other_way = session_file.load(before), session_file.load(after)
        assert as_bytes(merge(one, other_way)) == as_bytes(merge(other_way, one)) == after


def test_a_failed_turn_that_is_asked_again_keeps_its_place_and_what_others_said_about_it() -> None:
    failed = {
        "messages": [{"role": "user", "content": "a"}],
        "created_at": "2026-11-25T05:19:33",
        "finish_reason": "error",
        "undone": True,
        "usage": {"total_tokens": 1},
        "rating": 5,
        "parent_id": "x",
        "id": "a",
    }
    open_session = OpenSession(Session.model_validate({"model": "m/x", "turns": [failed]}), None, nullcontext)
    open_session.begin_turn("a", NOW.isoformat(), "m/y", 1)
    assert open_session.session.turns[0].model_dump(exclude_unset=True) == {
        "messages": failed["messages"],
        "created_at": "2026-11-25T05:19:33.000001",
        "answered_by": "m/y",
        "undo_count": 2,
        "rating": 5,
        "parent_id": "x",
        "id": "a",
    }


def test_a_reset_takes_the_place_of_one_on_a_branch() -> None:
    shell = Shell(older())
    shell.session.meta = {"context_after": "x", "summary": "s"}
    shell.do(("reset", 0))
    assert shell.session.meta["context_start"] == 2
    assert "context_after" not in shell.session.meta
    assert shell.session.meta["edits"]["context_start"] == 1
