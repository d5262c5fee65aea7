"""Each rule by which two copies of a session are joined, in an example of its own and in both directions."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from llmrepl.sessions.merge import are_copies, merge
from llmrepl.sessions.merge_files import merge_copies
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file

Data = dict[str, Any]


def turn(name: str, second: int = 0, reply: str | None = "yes", **keys: Any) -> Data:
    """A turn whose id is its prompt."""
    messages = [{"role": "user", "content": name}]
    messages += [{"role": "assistant", "content": reply}] if reply is not None else []
    created_at = f"2026-11-25T05:19:{second:02d}.000000"
    ended = {"answered_by": "m/x", "finish_reason": "stop" if reply is not None else "error"}
    return {"messages": messages, "created_at": created_at, **ended, **keys, "id": name}


def session(*turns: Data, meta: Data | None = None, **keys: Any) -> Session:
    begun = {"model": "m/x", "created_at": "2026-11-25T05:19:00.000000"}
    return Session.model_validate({**begun, "turns": list(turns), **keys, "meta": meta or {}})


def joined(*copies: Session) -> Data:
    """The merge of the copies, which is the same in any order."""
    results = set()
    for first, *others in permutations(copies):
        for other in others:
            first = merge(first, session_file.load(session_file.dump(other)))
        results.add(session_file.dump(first))
    [result] = results
    data: Data = json.loads(result)
    return data


def names(data: Data) -> list[str]:
    """The prompts, in brackets on a branch."""
    prompts = ((turn["messages"][0]["content"], turn.get("branch")) for turn in data["turns"])
    return [f"({name})" if branch else name for name, branch in prompts]


# ---------------------------------------------------------------- a copy that has everything


def test_a_copy_that_has_everything_stays_byte_for_byte_as_it_is() -> None:
    older = {"messages": [{"role": "user", "content": "a"}], "zzz": 1}
    full = Session.model_validate({"turns": [older, turn("b")], "odd": {"b": 1, "a": 2}, "model": "m/x"})
    for other in (full, session(turn("b", parent_id="f"), model="m/x", created_at=None)):
        part = Session.model_validate({"turns": [older], "model": "m/x"}) if other is not full else full
        assert session_file.dump(merge(full, part)) == session_file.dump(merge(part, full)) == session_file.dump(full)


def test_a_merge_of_a_session_with_itself_is_that_session() -> None:
    for copy in (session(), session(turn("a"), turn("b", undone=True), meta={"title": "x", "tags": ["b", "a"]})):
        assert merge(copy, copy) is copy
        result = merge_copies(copy, copy)
        assert (result.added, result.branched, result.changed) == (0, 0, False)


def test_of_two_copies_that_say_the_same_one_is_chosen_in_any_order() -> None:
    one, other = session(turn("a", c=1, a=1, b=1)), session(turn("a", c=1, b=1, a=1))
    written = merge(merge(session(turn("a"), turn("b")), session(turn("a"), turn("c"))), session())
    assert names(joined(one, other)) == ["a"]
    assert joined(written, merge(written, written)) == json.loads(session_file.dump(written))


def test_a_turn_that_stands_twice_in_a_copy_is_there_once() -> None:
    doubled = session(turn("a"), turn("b"), turn("a"), turn("b"))
    assert names(joined(doubled, session(turn("a"), turn("b")))) == ["a", "b"]
    data = joined(doubled, doubled)
    assert (names(data), [t.get("parent_id") for t in data["turns"]]) == (["a", "b"], [None, None])


def test_what_the_second_copy_adds_is_counted() -> None:
    ours, theirs = session(turn("a"), turn("b", 1)), session(turn("a"), turn("c", 2), turn("d", 3))
    result = merge_copies(ours, theirs)
    assert (result.added, result.branched, result.changed) == (2, 1, True)
    assert merge_copies(result.session, theirs).changed is False
    on_branch = [turn("x", 1), turn("y", 2)]
    ours = merge(session(turn("a"), turn("b", 5)), session(turn("a"), *on_branch))
    result = merge_copies(ours, session(turn("a"), *on_branch, turn("z", 9)))
    assert names(json.loads(session_file.dump(result.session))) == ["a", "(b)", "x", "y", "z"]
    assert (result.added, result.branched) == (1, 0)
    ours = session(turn("a"), turn("b", 1))
    tagged = merge_copies(ours, session(turn("a"), meta={"tags": ["x"]}))
    assert (tagged.added, tagged.branched, tagged.changed) == (0, 0, True)


# ---------------------------------------------------------------- the order of turns


def test_the_tail_with_the_newest_turn_goes_on() -> None:
    assert names(joined(session(turn("a"), turn("b", 9)), session(turn("a"), turn("c", 5), turn("d", 6)))) == [
        *("a", "(c)", "(d)", "b")
    ]


def test_a_failed_turn_is_not_the_newest() -> None:
    ours, theirs = session(turn("a"), turn("b", 5)), session(turn("a"), turn("c", 9, None))
    assert names(joined(ours, theirs)) == ["a", "(c)", "b"]


def test_of_tails_of_one_date_the_longer_goes_on_then_the_greater_id() -> None:
    assert names(joined(session(turn("a"), turn("z", 5)), session(turn("a"), turn("b", 5), turn("c", 5)))) == [
        *("a", "(z)", "b", "c")
    ]
    assert names(joined(session(turn("a"), turn("z", 5)), session(turn("a"), turn("b", 5)))) == ["a", "(b)", "z"]
    ours, theirs = session(turn("a"), turn("b", 5), turn("z", 5)), session(turn("a"), turn("c", 5), turn("d", 5))
    assert names(joined(ours, theirs)) == ["a", "(c)", "(d)", "b", "z"]


def test_a_branch_stands_after_the_turn_that_it_follows() -> None:
    tails = (("x", 8), ("y", 3), ("z", 5))
    data = joined(*(session(turn("a"), turn(f"{name}0", at), turn(f"{name}1", at + 1)) for name, at in tails))
    assert names(data) == ["a", "(y0)", "(y1)", "(z0)", "(z1)", "x0", "x1"]
    assert [t.get("parent_id") for t in data["turns"]] == [None, "a", None, "a", None, "a", None]


def test_turns_of_unrelated_sessions_are_all_there() -> None:
    data = joined(session(turn("a", 1), turn("b", 2)), session(turn("x", 3)))
    assert names(data) == ["(a)", "(b)", "x"]
    assert [t.get("parent_id") for t in data["turns"]] == ["", None, ""]


def test_a_turn_whose_parent_came_later_is_placed_after_it() -> None:
    part = session(turn("c", 3, parent_id="b"))
    assert names(joined(part, session(turn("a"), turn("b", 1)))) == ["a", "b", "c"]


def test_of_two_parents_the_later_counts() -> None:
    base = session(turn("a", 1), turn("b", 2), turn("c", 3))
    moved = session(turn("a", 1), turn("b", 2), turn("c", 3, parent_id="a"))
    assert names(joined(base, moved)) == ["a", "b", "c"]


# ---------------------------------------------------------------- one turn in two copies


def test_the_last_attempt_of_a_failed_turn_counts_as_one_thing() -> None:
    first = turn("a", 5, None, answered_by="z/z", usage={"total_tokens": 9}, latency_ms=9.0)
    second = turn("a", 6, None, answered_by="b/b")
    assert joined(session(first), session(second))["turns"] == [second]


def test_a_reply_that_ended_outranks_one_that_was_cut_off_in_the_same_place() -> None:
    for reason in ("interrupted", "error"):
        cut = turn("a", finish_reason=reason, cost_estimate=9.0)
        data = joined(session(cut), session(turn("a", finish_reason="end_turn")))
        assert data["turns"][0]["finish_reason"] == "end_turn"


def test_of_two_turns_without_a_reply_the_failed_one_says_so() -> None:
    asked = {key: value for key, value in turn("a", 3, None).items() if key != "finish_reason"}
    assert joined(session(asked), session(turn("a", 3, None)))["turns"] == [turn("a", 3, None)]


def test_another_prompt_under_the_same_id_is_another_version() -> None:
    edited = {**turn("b", reply="yes, and more"), "id": "a"}
    data = joined(session(turn("a")), session(edited))
    assert sorted(t["messages"][0]["content"] for t in data["turns"]) == ["a", "b"]


def test_what_two_copies_say_about_one_reply_is_joined() -> None:
    one, other = turn("a", usage={"prompt_tokens": 1}), turn("a", usage={"completion_tokens": 2}, cost_estimate=0.5)
    data = joined(session(one), session(other))
    assert data["turns"][0]["usage"] == {"prompt_tokens": 1, "completion_tokens": 2}
    assert data["turns"][0]["cost_estimate"] == 0.5


@pytest.mark.parametrize("part", ["", "y"])
def test_a_reply_that_goes_on_takes_the_place_of_its_beginning(part: str) -> None:
    data = joined(session(turn("a", 3, part, finish_reason="interrupted")), session(turn("a", 1)))
    assert [t["messages"][1]["content"] for t in data["turns"]] == ["yes"]


def test_two_replies_stay_and_the_fuller_one_has_the_id() -> None:
    copies = [session(turn("a", reply=reply), turn("b", 5)) for reply in ("no", "perhaps", "yes")]
    data = joined(*copies)
    replies = {t["id"]: t["messages"][1]["content"] for t in data["turns"]}
    assert replies["a"] == "perhaps"
    assert sorted(replies.values()) == ["no", "perhaps", "yes", "yes"]
    assert [id.partition("~")[0] for id in replies] == ["a", "a", "a", "b"]
    assert joined(Session.model_validate(data), *copies) == data
    assert [t.get("branch") for t in data["turns"]] == [True, True, None, None]
    assert [t.get("parent_id") for t in data["turns"]] == ["", "", "", None]


def test_a_turn_is_out_of_the_context_as_the_copy_says_that_changed_it_more_often() -> None:
    undone, redone = turn("a", undone=True), turn("a", undo_count=2)
    again = turn("a", undone=True, undo_count=3)
    assert joined(session(turn("a")), session(undone))["turns"] == [undone]
    assert joined(session(redone), session(undone))["turns"] == [redone]
    assert joined(session(redone), session(undone, turn("b", 1)))["turns"][0] == redone
    assert joined(session(redone), session(undone), session(again))["turns"] == [again]


def test_a_turn_is_copied_if_both_say_so() -> None:
    assert "copied" not in joined(session(turn("a")), session(turn("a", copied=True)))["turns"][0]
    assert joined(session(turn("a", copied=True)), session(turn("a", copied=True), turn("b")))["turns"][0]["copied"]


def test_citations_stay_with_the_reply_that_has_them() -> None:
    cites = [{"url": "https://example.org", "title": "x"}]
    data = joined(session(turn("a", reply="perhaps")), session(turn("a", reply="no", citations=cites)))
    assert {t["messages"][1]["content"]: t.get("citations") for t in data["turns"]} == {"perhaps": None, "no": cites}


# ---------------------------------------------------------------- the session around the turns


@pytest.mark.parametrize(("key", "counted"), [("model", "model_choice"), ("system", "system")])
def test_the_model_and_the_system_prompt_are_those_that_were_changed_more_often(key: str, counted: str) -> None:
    a, b = turn("a"), turn("b", 1, answered_by="z/z")
    old = Session.model_validate({"model": "z/z", key: "z/z", "turns": [a, b]})
    new, newer = (
        Session.model_validate({"model": "z/z", key: value, "turns": [a], "meta": {"edits": {counted: count}}})
        for count, value in ((1, "a/a"), (2, "b/b"))
    )
    assert joined(old, new)[key] == "a/a"
    assert joined(old, new, newer)[key] == "b/b"
    assert joined(old, new)["meta"] == {"edits": {counted: 1}}


def test_without_a_choice_the_model_is_the_one_that_answered_last() -> None:
    a, b, c = turn("a"), turn("b", 1, answered_by="b/b"), turn("c", 2, answered_by="c/c")
    assert joined(session(a, c, model="c/c"), session(a, b, model="z/z"))["model"] == "c/c"
    failed = turn("d", 3, None, answered_by=None)
    assert joined(session(model="m/a"), session(model="m/b"))["model"] == "m/b"
    assert joined(session(a, failed, model="q/q"), session(a, b, c, model="c/c"))["model"] == "c/c"


def test_a_turn_keeps_the_model_of_its_session() -> None:
    plain = {**turn("a"), "answered_by": None}
    data = joined(session(plain, model="m/old"), session(turn("b", 1, answered_by="m/new"), model="m/new"))
    assert [t.get("answered_by") for t in data["turns"]] == ["m/old", "m/new"]


def test_the_context_starts_where_it_was_reset_last() -> None:
    a, b, c = turn("a"), turn("b", 1), turn("c", 2)
    once = session(a, b, c, meta={"context_start": 1, "summary": "once"})
    later = session(a, b, c, meta={"context_start": 2, "summary": None})
    twice = session(a, b, c, meta={"context_start": 1, "summary": "twice", "edits": {"context_start": 1}})
    assert joined(once, session(a, b, c))["meta"] == {"context_start": 1, "summary": "once"}
    assert joined(once, later)["meta"]["context_start"] == 2
    assert joined(once, later, twice)["meta"] == twice.meta
    z, y = turn("z", 1), turn("y", 2)
    assert joined(session(z, y, meta={"context_start": 1}), session(z, y, meta={"context_start": 2}))["meta"] == {
        "context_start": 2
    }
    both = [session(a, meta={"context_start": 1, "summary": text}) for text in ("x", "y")]
    assert joined(*both)["meta"]["summary"] == "y"


def test_a_reset_on_a_branch_is_kept_for_when_that_goes_on() -> None:
    reset = session(turn("a"), turn("b", 1), meta={"context_start": 2})
    data = joined(reset, session(turn("a"), turn("c", 2)))
    assert data["meta"] == {"context_after": "b"}
    assert joined(Session.model_validate(data), session(turn("a"), turn("b", 1), turn("d", 3)))["meta"] == {
        "context_start": 3
    }


def test_the_earliest_date_and_the_greater_of_other_values() -> None:
    one = session(turn("a"), created_at="2025", own=[1, 2], meta={"n": 1, "list": [1], "map": {"a": 1}, "kind": "text"})
    other = session(turn("a"), created_at="2024", own=[2, 3], meta={"n": 2, "list": [2], "map": {"b": 1}, "kind": 5})
    data = joined(one, other)
    assert (data["created_at"], data["own"]) == ("2024", [1, 2, 3])
    assert data["meta"] == {"n": 2, "list": [1, 2], "map": {"a": 1, "b": 1}, "kind": "text"}
    assert joined(session(turn("a"), created_at=None), other)["created_at"] == "2024"


@pytest.mark.parametrize(
    ("lesser", "greater"), [({"a": 1}, [1]), (None, False), (False, True), (True, -1), (1, 1.0), (9, "1"), ("a", "b")]
)
def test_of_two_kinds_of_values_the_greater_is_always_the_same(lesser: Any, greater: Any) -> None:
    data = joined(session(turn("a"), meta={"n": lesser}), session(turn("a"), meta={"n": greater}))
    assert data["meta"]["n"] == (lesser if isinstance(lesser, dict) else greater)


def test_a_value_that_was_changed_more_often_outranks_a_greater_one() -> None:
    one, other = session(turn("a"), meta={"n": 9}), session(turn("a"), meta={"n": 1, "edits": {"n": 1}})
    assert joined(one, other)["meta"] == {"n": 1, "edits": {"n": 1}}


def test_tags_are_joined_by_how_often_each_was_changed() -> None:
    has, removed = session(meta={"tags": ["a", "b"]}), session(meta={"tags": ["b"], "edits": {"tags": {"a": 2}}})
    again = session(meta={"tags": ["a"], "edits": {"tags": {"a": 3, "b": 2}}})
    assert joined(has, removed)["meta"] == {"tags": ["b"], "edits": {"tags": {"a": 2}}}
    assert joined(has, removed, again)["meta"] == {"tags": ["a"], "edits": {"tags": {"a": 3, "b": 2}}}
    assert joined(session(turn("a")), has)["meta"]["tags"] == ["a", "b"]


def test_titles_that_were_given_are_joined_and_a_newer_one_outranks_them() -> None:
    automatic, one = session(turn("a"), meta={"title": "a"}), session(turn("a"), meta={"title": "One"})
    other, newer = session(turn("a"), meta={"title": "Other"}), session(meta={"title": "New", "edits": {"title": 2}})
    assert joined(automatic, session(turn("a"), turn("b")))["meta"] == {"title": "a"}
    assert joined(automatic, one)["meta"]["title"] == "One"
    assert joined(automatic, one, other)["meta"]["title"] == "One / Other"
    assert joined(automatic, one, other, newer)["meta"]["title"] == "New"


def test_a_title_that_was_given_stays_although_it_is_the_beginning_of_some_prompt() -> None:
    chosen = session(turn("a"), meta={"title": "a", "edits": {"title": 2}})
    assert joined(chosen, session(turn("x", 5), meta={"title": "x"}))["meta"]["title"] == "a"
    data = joined(session(turn("a", 5), meta={"title": "x"}), session(turn("x"), meta={"title": "x"}))
    assert data["meta"] == {"title": "x", "edits": {"title": 1}}
    assert joined(Session.model_validate(data), session(turn("a", 5), turn("b", 9)))["meta"] == data["meta"]


def test_totals_are_those_of_the_turns_or_of_a_program_that_counts_only_in_total() -> None:
    counts = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    a, b = turn("a", usage=counts), turn("b", usage=counts)
    data = joined(session(a, usage_totals=counts), session(a, b, usage_totals=counts))
    assert data["usage_totals"] == counts  # of the copy that has everything, as it says
    data = joined(session(a, b, usage_totals=counts), session(a, turn("c", 1, usage=counts), usage_totals=counts))
    assert data["usage_totals"] == {key: 3 * count for key, count in counts.items()}
    only = session(turn("a"), turn("b"), usage_totals={"total_tokens": 7, "own": 1})
    data = joined(only, session(turn("a"), turn("c", 1), usage_totals={"total_tokens": 5}))
    assert data["usage_totals"] == {"total_tokens": 7, "own": 1}


# ---------------------------------------------------------------- whether two files are copies


def test_a_session_that_goes_on_after_a_turn_of_the_other_is_a_copy() -> None:
    dates = ("2024", "2025")
    base, tail = session(turn("a"), created_at=dates[0]), session(turn("b", parent_id="a"), created_at=dates[1])
    assert are_copies(base, tail) and are_copies(tail, base)
    assert not are_copies(base, session(turn("b"), created_at=dates[1]))
    assert not are_copies(base, session(turn("b", parent_id="x"), created_at=dates[1]))
    assert not are_copies(session(turn("a"), created_at=None), session(turn("b"), created_at=None))
