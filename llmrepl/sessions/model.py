"""The session file format as pydantic models.

Pure. Keys that these models do not know survive reading and writing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from llmrepl.sessions import edits, other_requests
from llmrepl.sessions.other_requests import OtherRequests
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.turn_ids import ROOT, identify
from llmrepl.types import Attachment, Message, ProviderData, Usage

SUMMARIZED = "A summary of our conversation so far:"
"""Heads the summary that replaces older turns in the context."""

INTERRUPTED, ERROR = "interrupted", "error"
"""`finish_reason` of a reply that was cut off (what arrived is kept) and of a prompt that got no reply."""


NO_MARKS: Mapping[str, Any] = MappingProxyType({})
"""The marks of an ordinary turn."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="allow")


class AttachmentRecord(_Record):
    """An image sent with a message; `data` is base64."""

    name: str
    media_type: str
    data: str

    @classmethod
    def of(cls, image: Attachment) -> AttachmentRecord:
        """Convert an attachment to its form in the file."""
        return cls(name=image.name, media_type=image.media_type, data=base64.b64encode(image.data).decode("ascii"))


class MessageRecord(_Record):
    """One message; `content` is text, or a list of parts as other programs write it."""

    role: str
    content: str | list[Any] | None = None
    attachments: list[AttachmentRecord] | None = None

    @property
    def text(self) -> str:
        """The text of the message; text parts are joined by newlines."""
        if isinstance(self.content, list):
            parts = (p.get("text") if isinstance(p, dict) else p for p in self.content)
            return "\n".join(p for p in parts if isinstance(p, str))
        return self.content or ""


class UsageRecord(_Record):
    """Token counts of a turn or a session. Optional counts that are zero are omitted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool | None = None

    @classmethod
    def of(cls, event: Usage) -> UsageRecord:
        """Convert the usage a provider reported."""
        usage = cls(
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            total_tokens=event.total_tokens,
        )
        if event.cached_tokens:
            usage.cached_tokens = event.cached_tokens
        if event.reasoning_tokens:
            usage.reasoning_tokens = event.reasoning_tokens
        if event.estimated:
            usage.estimated = True
        return usage


class Turn(_Record):
    """A prompt and its reply.

    `created_at` is local time in ISO 8601, `latency_ms` the time from prompt to end of reply, `cost_estimate` USD or
    absent if unknown. `answered_by` names the model if it is not the session's. `finish_reason` is the provider's,
    `interrupted` or `error`. `undone` removes the turn from the context, and so does `branch`: a merge found that the
    conversation went on elsewhere after the turn `parent_id` (see merge.py). `undo_count` is absent if it is 0 or 1.
    `aside` marks a side question, which is never part of the context. `comparison` is the id that answers of several
    models to one prompt have in common. Each is a branch until it is picked, at the local time `picked_at`.
    `citations` are the sources of the reply, `pictures` the names of the files that it brought, beside this one, and
    `provider_data` (provider, model, items) is sent back with the reply to the same model only.
    """

    messages: list[MessageRecord]
    usage: UsageRecord | None = None
    latency_ms: float | None = None
    cost_estimate: float | None = None
    created_at: str | None = None
    answered_by: str | None = None
    finish_reason: str | None = None
    undone: bool | None = None
    copied: bool | None = None
    branch: Any = None
    undo_count: int | None = None
    aside: Any = None
    comparison: Any = None
    picked_at: Any = None
    citations: Any = None
    pictures: Any = None
    provider_data: Any = None
    parent_id: Any = None
    id: Any = None

    @classmethod
    def begin(
        cls,
        question: str,
        created_at: str,
        answered_by: str | None = None,
        images: Sequence[Attachment] = (),
        id: str | None = None,
        marks: Mapping[str, Any] = NO_MARKS,
    ) -> Turn:
        """Create a turn that has no reply yet; `marks` are fields such as `aside` and `comparison`."""
        message = MessageRecord(role="user", content=question)
        if images:
            message.attachments = [AttachmentRecord.of(image) for image in images]
        turn = cls(messages=[message], created_at=created_at)
        if answered_by:
            turn.answered_by = answered_by
        for name, value in marks.items():
            setattr(turn, name, value)
        if id:
            turn.id = id
        return turn

    def in_place_of(self, failed: Turn) -> Turn:
        """Return a copy of this turn, which has no reply yet, at the place of a failed one that it asks again.

        It is not undone, has what other programs said about the failed turn, and is later than that, although the clock
        may have been set back: a merge takes the later one.
        """
        kept = failed.changed(undone=None)
        update = {"parent_id": kept.parent_id, "undo_count": kept.undo_count, **(failed.model_extra or {})}
        update["created_at"] = _later(self.created_at or "", failed.created_at or "")
        return self.changed(**{key: value for key, value in update.items() if value is not None})

    def with_reply(self, reply: Completion) -> Turn:
        """Return a copy of this turn that includes its reply."""
        messages = [m for m in self.messages if m.role != "assistant"]
        if reply.text or reply.finish_reason != ERROR:
            messages.append(MessageRecord(role="assistant", content=reply.text))
        update: dict[str, Any] = {"messages": messages, "latency_ms": round(reply.latency_ms, 1)}
        if reply.usage is not None:
            update["usage"] = UsageRecord.of(reply.usage)
        if reply.cost is not None:
            update["cost_estimate"] = reply.cost
        if reply.citations:
            update["citations"] = [{"url": one.url, "title": one.title} for one in reply.citations]
        if reply.pictures:
            update["pictures"] = list(reply.pictures)
        if data := reply.provider_data:
            update["provider_data"] = {"provider": data.provider, "model": data.model, "items": list(data.items)}
        return self.model_copy(update={**update, "finish_reason": reply.finish_reason})

    def changed(self, **values: Any) -> Turn:
        """Return a copy of this turn with other values; a field set to None is absent in the file."""
        if "undone" in values and bool(values["undone"]) != bool(self.undone):
            count = edits.toggles(bool(self.undone), self.undo_count or 0) + 1
            values["undo_count"] = count if count > 1 else None
        turn = self.model_copy(update=values)
        turn.model_fields_set.difference_update(name for name, value in values.items() if value is None)
        return turn

    def text_of(self, role: str) -> str:
        """Return the text of all messages with `role`, separated by blank lines."""
        return "\n\n".join(m.text for m in self.messages if m.role == role)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files that were sent with the prompt, apart from those that became part of its text."""
        return tuple(_attachment(one) for m in self.messages if m.role == "user" for one in m.attachments or ())

    @property
    def in_context(self) -> bool:
        """Whether the turn is sent to the model: not one that failed, was undone, is an aside or of another branch."""
        return not self.undone and not self.is_aside and self.branch is not True and self.finish_reason != ERROR

    @property
    def is_off_line(self) -> bool:
        """Whether no turn follows this one: it is an aside or on a branch."""
        return self.is_aside or self.branch is True

    @property
    def is_aside(self) -> bool:
        """Whether the turn is a side question."""
        return self.aside is True


class Session(_Record):
    """A conversation. `model` is the current model, `created_at` local time in ISO 8601, `meta` free-form."""

    model: str
    system: str | None = None
    created_at: str | None = None
    turns: list[Turn] = Field(default_factory=list)
    usage_totals: UsageRecord | None = None
    meta: dict[str, Any] | None = None

    _context: list[Message] | None = PrivateAttr(default=None)

    @classmethod
    def start(cls, model: str, system: str | None, now: datetime) -> Session:
        """Create an empty session that started at the local time `now`."""
        return cls(
            model=model,
            system=system,
            created_at=now.replace(tzinfo=None).isoformat(timespec="microseconds"),
            turns=[],
            usage_totals=UsageRecord(prompt_tokens=0, completion_tokens=0, total_tokens=0),
            meta={},
        )

    def switch_model(self, model: str) -> None:
        """Make `model` the current one. Answered turns keep the model that answered them."""
        if model != self.model:
            for turn in self.turns:
                if turn.answered_by is None and turn.text_of("assistant"):
                    turn.answered_by = self.model
        self.model = model

    def add(self, turn: Turn) -> int:
        """Append `turn`, add it to the totals, and return its number (from 1).

        After an aside or turns of a branch it names the turn that it follows.
        """
        self._total()
        if turn.parent_id is None and self.turns and self.turns[-1].is_off_line:
            turn.parent_id = self.main_id()
        self.turns.append(turn)
        self._count(turn, +1)
        if self._context is not None and turn.in_context:
            self._context.extend(_for_context(turn))
        return len(self.turns)

    def replace(self, number: int, turn: Turn) -> None:
        """Replace turn `number` (from 1)."""
        old = self.turns[number - 1]
        self._total()
        self._count(old, -1)
        self.turns[number - 1] = turn
        self._count(turn, +1)
        if number <= self.context_start:
            return
        if self._context is None or number < len(self.turns) or not old.in_context:
            self._context = None
            return
        del self._context[len(self._context) - len(_for_context(old)) :]
        if turn.in_context:
            self._context.extend(_for_context(turn))

    def context(self) -> list[Message]:
        """Return the messages sent to the model, oldest first. The list is cached and updated with each turn."""
        if self._context is None:
            summary = (self.meta or {}).get("summary")
            first = [Message("user", f"{SUMMARIZED}\n\n{summary}")] if isinstance(summary, str) else []
            turns = self.turns[self.context_start :]
            self._context = first + [m for turn in turns if turn.in_context for m in _for_context(turn)]
        return self._context

    def context_without(self, numbers: Sequence[int]) -> list[Message]:
        """Return the context as it would be if the turns with these numbers were undone."""
        if not numbers:
            return self.context()
        copy = self.model_copy(update={"turns": list(self.turns)})
        for number in numbers:
            copy.replace(number, copy.turns[number - 1].changed(undone=True))
        copy._context = None
        return copy.context()

    @property
    def context_start(self) -> int:
        """How many leading turns are out of the context since the last `:reset`."""
        start = (self.meta or {}).get("context_start")
        return start if isinstance(start, int) and 0 <= start <= len(self.turns) else 0

    def turn_id(self, number: int) -> str:
        """Return the id of turn `number`, which is derived for a turn of an older file; ROOT for 0."""
        own = self.turns[number - 1].id if number else ROOT
        return own if isinstance(own, str) else self.identified(number)[-1][0]

    def parent_id(self, number: int) -> str:
        """Return the id of the turn that turn `number` follows, ROOT for none."""
        own = self.turns[number - 1].parent_id
        return own if isinstance(own, str) else self.turn_id(number - 1)

    def main_id(self) -> str:
        """Return the id of the last turn that is no aside and on no branch, which the next one follows; or ROOT."""
        numbers = range(len(self.turns), 0, -1)
        return self.turn_id(next((n for n in numbers if not self.turns[n - 1].is_off_line), 0))

    def identified(self, number: int) -> list[tuple[str, str]]:
        """Return id and parent id of the first `number` turns."""
        return identify([turn.model_dump(mode="json", exclude_unset=True) for turn in self.turns[:number]])

    def truncate(self, number: int) -> None:
        """Drop the turns after turn `number`, and a context start or summary that lies beyond it."""
        if self.context_start > number:
            self.meta = {key: value for key, value in (self.meta or {}).items() if key not in _CONTEXT_KEYS}
        del self.turns[number:]
        self._context = None
        self.recount()

    def fork(self, number: int, parent: str, now: datetime) -> Session:
        """Create a session from the turns up to `number`; `now` is local time, `parent` the name of this session.

        Turns of other branches than that of turn `number` are left out.
        """
        branch = self.model_copy(deep=True)
        branch.truncate(number)
        branch._keep_line()
        for turn in reversed(branch.turns):  # of a fork at an undone turn, that turn and those undone with it are back
            if turn.is_aside and turn is not branch.turns[-1]:
                continue
            if not turn.undone:
                break
            turn.undone = turn.undo_count = None
            turn.model_fields_set.difference_update(("undone", "undo_count"))
        branch.created_at = Session.start(self.model, None, now).created_at
        branch.meta = {
            k: v for k, v in (branch.meta or {}).items() if k not in ("origin", other_requests.KEY, edits.KEY)
        }
        for turn in branch.turns:
            turn.copied = True
            turn.comparison = turn.picked_at = None
            turn.model_fields_set.difference_update(("comparison", "picked_at"))
        branch.set_meta("parent", {"session": parent, "turn": number})
        return branch

    def _keep_line(self) -> None:
        """Drop the turns that are not on the way to the last one, which a merge put between them."""
        if not any(turn.branch is True for turn in self.turns):
            return
        identified = identify(self.model_dump(mode="json", include={"turns"}, exclude_unset=True)["turns"])
        places = {key: place for place, (key, _) in enumerate(identified)}
        line: list[int] = []
        place: int | None = len(self.turns) - 1
        while place is not None and (not line or place < line[-1]):
            line.append(place)
            place = places.get(identified[place][1])
        parents = {ROOT, *(identified[place][0] for place in line)}
        asides = (place for place in range(line[0]) if self.turns[place].is_aside and place not in line)
        line = sorted({*line, *(place for place in asides if identified[place][1] in parents)})
        start = sum(1 for place in line if place < self.context_start)
        if self.context_start:
            self.meta = {**(self.meta or {}), "context_start": start}
        before = [ROOT, *(identified[place][0] for place in line)]
        for place, previous in zip(line, before, strict=False):
            turn, is_next = self.turns[place], identified[place][1] == previous
            turn.branch, turn.parent_id = None, None if is_next else identified[place][1]
            turn.model_fields_set.difference_update(("branch", "parent_id") if is_next else ("branch",))
        self.turns = [self.turns[place] for place in line]
        self._context = None
        self.recount()

    def summarize(self, summary: str) -> None:
        """Replace all turns so far by `summary` in the context. The turns stay in the file."""
        self._start_context(summary)

    def reset_context(self) -> None:
        """Start an empty context after the last turn. The turns stay in the file."""
        self._start_context(None)

    def _start_context(self, summary: str | None) -> None:
        old = self.meta or {}
        meta = {**old, "context_start": len(self.turns), "summary": summary}
        meta.pop("context_after", None)  # where a merge put the start, if that is on a branch
        started = any(key in old for key in ("context_start", "context_after"))
        self.meta = edits.changed_header(old, meta, ("context_start",) if started else ())
        self._context = None

    def set_meta(self, key: str, value: Any) -> None:
        """Set one key of `meta`."""
        meta = {**(self.meta or {}), key: value}
        self.meta = meta if key == other_requests.KEY else edits.changed_header(self.meta, meta)

    def recount(self) -> None:
        """Recompute the totals from the turns."""
        self.usage_totals = UsageRecord(prompt_tokens=0, completion_tokens=0, total_tokens=0)
        for turn in self.turns:
            self._count(turn, +1)

    def _total(self) -> None:
        """Compute the totals if the program that wrote the file left them out."""
        if self.usage_totals is None:
            self.recount()

    def _count(self, turn: Turn, sign: int) -> None:
        if turn.usage is None or self.usage_totals is None:
            return
        for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
            more = getattr(turn.usage, key)
            if more and more > 0:
                setattr(self.usage_totals, key, (getattr(self.usage_totals, key) or 0) + sign * more)

    def add_request(self, usage: Usage | None, cost: float | None) -> None:
        """Count a request that is not a turn, such as a summary; `usage` is None if it is not billed."""
        total = self.other_requests.plus(usage.total_tokens if usage else 0, cost, billed=usage is not None)
        self.set_meta(other_requests.KEY, total.to_json())

    @property
    def other_requests(self) -> OtherRequests:
        """Requests made for this session outside its turns."""
        return OtherRequests.from_meta(self.meta)

    @property
    def cost(self) -> float:
        """The sum of the known costs, in USD. Negative costs in a file are ignored."""
        return self.other_requests.cost + sum(max(0.0, t.cost_estimate or 0.0) for t in self.turns)

    @property
    def unpriced(self) -> int:
        """The number of answered turns and other requests whose cost is unknown."""
        turns = sum(1 for t in self.turns if t.cost_estimate is None and t.finish_reason != ERROR)
        return turns + self.other_requests.unpriced

    @property
    def title(self) -> str | None:
        """The title, or None."""
        title = (self.meta or {}).get("title")
        return title if isinstance(title, str) else None

    @property
    def tags(self) -> list[str]:
        """The tags in `meta`."""
        tags = (self.meta or {}).get("tags")
        return [t for t in tags if isinstance(t, str)] if isinstance(tags, list) else []


_CONTEXT_KEYS = ("context_start", "summary")


def _later(date: str, other: str) -> str:
    """Return an ISO 8601 date, or the microsecond after the other one if it is not later than that."""
    if date > other:
        return date
    try:
        return (datetime.fromisoformat(other) + timedelta(microseconds=1)).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return date


def title_from_prompt(prompt: str, limit: int = 60) -> str:
    """Derive a title from the first non-blank line of a prompt, cut at a word boundary to `limit` characters."""
    line = next((" ".join(raw.split()) for raw in prompt.splitlines() if raw.strip()), "")
    if len(line) <= limit:
        return line
    return line[:limit].rsplit(" ", 1)[0].rstrip(",.;:-") + "…"


def _for_context(turn: Turn) -> list[Message]:
    return [
        Message(
            m.role,
            m.text,
            tuple(_attachment(record) for record in m.attachments or ()),
            _provider_data(turn.provider_data) if m.role == "assistant" else None,
        )
        for m in turn.messages
        if (m.text or m.attachments) and m.role in ("user", "assistant")
    ]


def _provider_data(record: Any) -> ProviderData | None:
    """Read opaque data from a file; None if its form is invalid."""
    match record:
        case {"provider": str(provider), "model": str(model), "items": list(items)}:
            return ProviderData(provider, model, tuple(item for item in items if isinstance(item, dict)))
    return None


def _attachment(record: AttachmentRecord) -> Attachment:
    try:
        data = base64.b64decode(record.data, validate=True)
    except ValueError:
        data = b""
    return Attachment(record.name, record.media_type, data)
