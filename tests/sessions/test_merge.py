"""Merging copies of a session: commutative, associative, idempotent, without lost or doubled turns."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import count, permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.sessions.branches import changes_to_pick, last_comparison
from llmrepl.sessions.join_values import join_values
from llmrepl.sessions.merge import are_copies, merge
from llmrepl.sessions.model import ERROR, Session, Turn, UsageRecord
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.turn_ids import identify

NOW = datetime(2026, 11, 25, 5, 19, 32, 123456)
WORDS = st.text("abé\n", min_size=1, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(0, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


class Replica:
    """A copy of a session on a machine, whose prompts contain its name, so that no two are equal."""

    def __init__(self, name: str, session: Session) -> None:
        self.name = name
        self.session = session.model_copy(deep=True)
        self.said: list[str] = []

    def ask(self, clock: int, *, has_id: bool = True, fails: bool = False, date: bool = True) -> None:
        text = f"{self.name}{len(self.said)}"
        self.said.append(text)
        created_at = f"2026-11-25T05:19:{clock:02d}.000000" if date else ""
        turn = Turn.begin(text, created_at, "m/x", id=f"{self.name}-{len(self.said)}" if has_id else None)
        if not date:
            turn = turn.changed(created_at=None)
        if fails:
            turn = turn.changed(finish_reason=ERROR)
        else:
            messages = [*turn.messages, turn.messages[0].model_copy(update={"role": "assistant"})]
            usage = UsageRecord(prompt_tokens=1, completion_tokens=2, total_tokens=3)
            turn = turn.changed(messages=messages, usage=usage, cost_estimate=0.5)
        self.session.add(turn)

    def say(self, clock: int, **marks: Any) -> None:
        """Add an answered turn with marks."""
        text = f"{self.name}{len(self.said)}"
        self.said.append(text)
        turn = Turn.begin(text, time_at(clock), "m/x", id=f"{self.name}-{len(self.said)}", marks=marks)
        messages = [*turn.messages, turn.messages[0].model_copy(update={"role": "assistant"})]
        usage = UsageRecord(prompt_tokens=1, completion_tokens=2, total_tokens=3)
        self.session.add(turn.changed(messages=messages, usage=usage, cost_estimate=0.5))

    def branch_off(self, what: str, clock: int, choice: int) -> None:
        """Ask a side question, compare two models, or pick an answer of the last comparison."""
        if what == "aside":
            self.say(clock, aside=True)
        elif what == "compare":
            marks = {"branch": True, "comparison": f"{self.name}{len(self.said)}", "parent_id": self.session.main_id()}
            for _ in range(2):
                self.say(clock, **marks)
        elif answers := last_comparison(self.session):
            number = answers[choice % len(answers)]
            for one, values in changes_to_pick(self.session, number, time_at(clock)).items():
                turn = self.session.turns[one - 1]
                self.session.replace(one, turn.changed(**values, id=self.session.turn_id(one)))

    def edit(self, what: str, number: int, value: Any) -> None:
        session = self.session
        if what == "tag":
            session.set_meta("tags", sorted({*session.tags, "abc"[number % 3]}))
        elif what == "untag":
            session.set_meta("tags", [tag for tag in session.tags if tag != "abc"[number % 3]])
        elif what == "title":
            session.set_meta("title", f"title {number}")
        elif what == "meta":
            session.set_meta("note", value)
        elif what == "reset":
            session.reset_context()
        elif what == "summarize":
            session.summarize(f"summary {number}")
        elif session.turns:
            at = number % len(session.turns) + 1
            turn = session.turns[at - 1]
            session.replace(at, turn.changed(undone=None if turn.undone else True))


EDITS = st.tuples(
    st.sampled_from(["tag", "untag", "title", "meta", "reset", "summarize", "undo"]), st.integers(0, 5), JSON
)
ASK = st.tuples(st.just("ask"), st.integers(0, 59), st.tuples(st.booleans(), st.booleans(), st.booleans()))
STEPS = st.lists(ASK | EDITS, max_size=5)


def run(replica: Replica, steps: list[Any]) -> Replica:
    for what, number, value in steps:
        if what == "ask":
            has_id, fails, date = value
            replica.ask(number, has_id=has_id, fails=fails, date=date)
        else:
            replica.edit(what, number, value)
    return replica


@st.composite
def replicas(draw: st.DrawFn) -> list[Replica]:
    """Generate three copies of a session that were continued apart, some after merges."""
    base = run(Replica("base", Session.start("m/x", None, NOW)), draw(STEPS))
    copies = [run(Replica(name, base.session), draw(STEPS)) for name in "pqr"]
    for copy, other in draw(st.lists(st.tuples(st.sampled_from(copies), st.sampled_from(copies)), max_size=2)):
        copy.session = merge(copy.session, other.session)
        run(copy, draw(STEPS))
    return [base, *copies]


BRANCHINGS = st.tuples(st.sampled_from(["say", "aside", "compare", "pick"]), st.integers(0, 3))


@st.composite
def branching_replicas(draw: st.DrawFn) -> list[Replica]:
    """Generate three copies of a session with side questions and comparisons, some after merges."""

    clock = count()

    def run_some(replica: Replica) -> Replica:
        for what, choice in draw(st.lists(BRANCHINGS, max_size=4)):
            if what == "say":
                replica.say(next(clock))
            else:
                replica.branch_off(what, next(clock), choice)
        return replica

    base = run_some(Replica("base", Session.start("m/x", None, NOW)))
    copies = [run_some(Replica(name, base.session)) for name in "pqr"]
    for copy, other in draw(st.lists(st.tuples(st.sampled_from(copies), st.sampled_from(copies)), max_size=2)):
        copy.session = merge(copy.session, other.session)
        run_some(copy)
    return [base, *copies]


def time_at(clock: int) -> str:
    return f"2026-11-25T05:{clock // 60:02d}:{clock % 60:02d}.000000"


def as_bytes(session: Session) -> bytes:
    return session_file.dump(session)


def joined(*sessions: Session) -> Session:
    first, *others = sessions
    for other in others:
        first = merge(first, session_file.load(as_bytes(other)))
    return first


def prompts(session: Session) -> list[str]:
    return [turn.text_of("user") for turn in session.turns]


@settings(deadline=None)
@given(replicas())
def test_any_order_gives_the_same_bytes(copies: list[Replica]) -> None:
    a, b, c = (copy.session for copy in copies[1:])
    results = {as_bytes(joined(*order)) for order in permutations((a, b, c))}
    results |= {as_bytes(merge(one, merge(two, three))) for one, two, three in permutations((a, b, c))}
    assert len(results) == 1


@settings(deadline=None)
@given(replicas())
def test_merging_again_changes_nothing(copies: list[Replica]) -> None:
    a, b, c = (copy.session for copy in copies[1:])
    once = joined(a, b, c)
    for again in (a, b, c, once, merge(a, b)):
        assert as_bytes(merge(once, again)) == as_bytes(merge(again, once)) == as_bytes(once)
    assert as_bytes(session_file.load(as_bytes(once))) == as_bytes(once)


@settings(deadline=None)
@given(replicas())
def test_each_turn_is_there_once_and_its_words_are_kept(copies: list[Replica]) -> None:
    merged = joined(*(copy.session for copy in copies[1:]))
    assert sorted(prompts(merged)) == sorted(text for copy in copies for text in copy.said)
    assert len(set(identify(json.loads(as_bytes(merged))["turns"]))) == len(merged.turns)
    answered = [turn for turn in merged.turns if turn.finish_reason != ERROR]
    assert all(turn.text_of("assistant") == turn.text_of("user") for turn in answered)
    assert abs(merged.cost - 0.5 * len(answered)) < 1e-9
    if answered:
        assert merged.usage_totals and merged.usage_totals.total_tokens == 3 * len(answered)


@settings(deadline=None)
@given(replicas())
def test_the_context_is_one_conversation_in_the_order_in_which_it_was_held(copies: list[Replica]) -> None:
    merged = joined(*(copy.session for copy in copies[1:]))
    line = [turn.text_of("user") for turn in merged.turns if turn.branch is not True]
    names = list(dict.fromkeys(text.rstrip("0123456789") for text in line))
    for name in names:
        own = [text for text in line if text.startswith(name)]
        assert own == sorted(own, key=lambda text: int(text.removeprefix(name)))
    if merged.turns:
        assert merged.turns[-1].branch is not True


@settings(deadline=None)
@given(replicas(), st.data())
def test_a_fork_at_any_turn_has_the_turns_that_led_to_it(copies: list[Replica], data: st.DataObject) -> None:
    merged = joined(*(copy.session for copy in copies[1:]))
    if merged.turns:
        at = data.draw(st.integers(1, len(merged.turns)))
        fork = merged.fork(at, "talk.json", NOW)
        assert prompts(fork)[-1] == prompts(merged)[at - 1]
        assert not any(turn.branch for turn in fork.turns)
        assert set(prompts(fork)) <= set(prompts(merged))


@given(branching_replicas())
def test_side_questions_and_comparisons_merge_in_any_order(copies: list[Replica]) -> None:
    a, b, c = (copy.session for copy in copies[1:])
    merged = joined(a, b, c)
    results = {as_bytes(joined(*order)) for order in permutations((a, b, c))}
    results |= {as_bytes(merge(merged, again)) for again in (a, b, c, merged, merge(a, b))}
    assert results == {as_bytes(merged)}
    assert sorted(prompts(merged)) == sorted(text for copy in copies for text in copy.said)


@given(branching_replicas())
def test_the_context_has_no_side_question_and_no_answer_that_was_not_picked(copies: list[Replica]) -> None:
    for session in [*(copy.session for copy in copies), joined(*(copy.session for copy in copies[1:]))]:
        context = [message.content for message in session.context()]
        out = [turn.text_of("user") for turn in session.turns if turn.is_aside or (turn.comparison and turn.branch)]
        assert not set(context) & set(out)
        for turn in session.turns:
            if turn.comparison and turn.branch is not True:
                assert turn.picked_at


@given(branching_replicas())
def test_merging_a_copy_with_itself_keeps_its_context(copies: list[Replica]) -> None:
    for copy in copies:
        assert joined(copy.session, copy.session).context() == copy.session.context()


@given(JSON, JSON, JSON)
def test_values_of_other_programs_are_joined_in_any_order(a: Any, b: Any, c: Any) -> None:
    def text(value: Any) -> str:
        return json.dumps(value, sort_keys=True)

    assert text(join_values(a, b)) == text(join_values(b, a))
    assert text(join_values(a, join_values(b, c))) == text(join_values(join_values(a, b), c))
    assert text(join_values(a, a)) == text(a)


def answered(*texts: str, **keys: Any) -> Session:
    """Return a session in the format of the guide: turns without id and date."""
    turns = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text.upper()}]}
        for text in texts
    ]
    return Session.model_validate({"model": "m/x", "created_at": "2024-01-08T14:30:22.123456", "turns": turns} | keys)


def marks(session: Session) -> list[tuple[str, bool]]:
    return [(turn.text_of("user"), turn.branch is True) for turn in session.turns]


def test_a_common_beginning_stays_once_and_the_longer_tail_goes_on() -> None:
    merged = merge(answered("a", "b", "c"), answered("a", "b", "d", "e"))
    assert marks(merged) == [("a", False), ("b", False), ("c", True), ("d", False), ("e", False)]
    assert [turn.parent_id for turn in merged.turns] == [None, None, merged.turns[1].id, merged.turns[1].id, None]
    assert [m.content for m in merged.context()] == ["a", "A", "b", "B", "d", "D", "e", "E"]


def test_the_same_question_asked_after_different_ones_is_another_turn() -> None:
    assert len(merge(answered("a", "hi"), answered("b", "hi")).turns) == 4


def test_a_copy_without_some_turns_adds_nothing() -> None:
    full = answered("a", "b", "c")
    assert as_bytes(merge(full, answered("a"))) == as_bytes(merge(full, full))


def test_the_finished_reply_outranks_the_part_that_was_cut_off() -> None:
    whole = Turn.begin("a", "2026", "m/x", id="1").changed(finish_reason="stop")
    whole.messages.append(whole.messages[0].model_copy(update={"role": "assistant", "content": "the reply"}))
    part = whole.changed(finish_reason="interrupted", messages=[whole.messages[0]])
    part.messages.append(whole.messages[1].model_copy(update={"content": "the"}))
    failed = whole.changed(finish_reason=ERROR, messages=[whole.messages[0]])
    sessions = [Session(model="m/x", turns=[turn]) for turn in (whole, part, failed)]
    for order in permutations(sessions):
        assert [(t.text_of("assistant"), t.finish_reason) for t in joined(*order).turns] == [("the reply", "stop")]


def test_two_replies_to_one_turn_are_both_kept() -> None:
    one, other = answered("a"), answered("a")
    one.turns[0].id = other.turns[0].id = "1"
    other.turns[0].messages[1].content = "another"
    merged = merge(one, other)
    assert sorted(turn.text_of("assistant") for turn in merged.turns) == ["A", "another"]
    assert len({turn.id for turn in merged.turns}) == 2
    assert as_bytes(merge(merged, one)) == as_bytes(merge(other, merged)) == as_bytes(merged)


def test_a_turn_that_was_brought_back_stays_so() -> None:
    base = merge(answered("a"), answered("a"))
    base.replace(1, base.turns[0].changed(undone=True))
    redone = base.model_copy(deep=True)
    redone.replace(1, redone.turns[0].changed(undone=None))
    assert not merge(base, redone).turns[0].undone
    assert merge(base, base).turns[0].undone


def test_tags_are_joined_and_one_that_was_removed_stays_away() -> None:
    base = answered("a", meta={"tags": ["old", "kept"]})
    one, other = base.model_copy(deep=True), base.model_copy(deep=True)
    one.set_meta("tags", ["kept", "one"])
    other.set_meta("tags", ["old", "kept", "other"])
    assert merge(one, other).tags == ["kept", "one", "other"]


def test_titles() -> None:
    base = answered("a", meta={"title": "a"})
    one, other = base.model_copy(deep=True), base.model_copy(deep=True)
    one.set_meta("title", "Rust")
    assert merge(one, other).title == "Rust"
    other.set_meta("title", "Borrowing")
    assert merge(one, other).title == "Borrowing / Rust"


def test_unknown_keys_are_kept() -> None:
    one = answered("a", project={"x": 1}, meta={"user_id": "me"})
    other = answered("a", project={"y": [1]}, meta={"importance": "high"})
    other.turns[0] = Turn.model_validate({**other.turns[0].model_dump(exclude_unset=True), "rating": 5})
    merged = json.loads(as_bytes(merge(one, other)))
    assert merged["project"] == {"x": 1, "y": [1]}
    assert merged["meta"] == {"user_id": "me", "importance": "high"}
    assert merged["turns"][0]["rating"] == 5


def test_who_answered_stays_with_the_turn() -> None:
    one, other = answered("a"), answered("b", model="n/y")
    merged = merge(one, other)
    assert sorted(turn.answered_by or "" for turn in merged.turns) == ["m/x", "n/y"]


def test_a_reset_holds_where_the_conversation_went_on_from_it() -> None:
    one = answered("a", "b")
    one.reset_context()
    assert merge(one, answered("a", "b", "c")).context_start == 2
    branch = merge(one, answered("a", "x", "y"))
    assert branch.context_start == 0
    assert [m.content for m in branch.context()] == ["a", "A", "x", "X", "y", "Y"]
    assert as_bytes(merge(branch, one)) == as_bytes(branch)


def test_a_circle_of_parents_and_a_lost_parent_lose_nothing() -> None:
    hostile = answered("a", "b", "c")
    for turn, key, parent in zip(hostile.turns, "123", ("2", "1", "gone"), strict=True):
        turn.id, turn.parent_id = key, parent
    merged = merge(hostile, hostile)
    assert sorted(prompts(merged)) == ["a", "b", "c"]
    assert as_bytes(merge(merged, hostile)) == as_bytes(merged)


def test_ten_thousand_turns() -> None:
    texts = [str(number) for number in range(10_000)]
    merged = merge(answered(*texts), answered(*texts[:5000], "other"))
    assert len(merged.turns) == 10_001


def test_whether_two_files_are_copies_of_one_session() -> None:
    other = answered("x", "b", created_at="2025-01-08T14:30:22.123456")
    assert are_copies(answered("a", "b"), answered("c"))
    assert not are_copies(answered("a", "b"), other)
    assert are_copies(other, answered("x", created_at=None))
    assert are_copies(answered(), other)
