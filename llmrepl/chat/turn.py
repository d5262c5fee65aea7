"""One turn, end to end: the prompt is on disk before it is sent, and the turn is saved however the reply ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from llmrepl.billing.reservation import RAISE_SESSION
from llmrepl.chat.attachments.documents import adapt, check, has_pdf
from llmrepl.chat.attachments.prompt_text import append_texts
from llmrepl.chat.reply_extras import ReplyExtras
from llmrepl.chat.workspace import Workspace
from llmrepl.errors import BudgetError, LLMError, SaveError, SignalExit
from llmrepl.formatting import escape_name, valid_text
from llmrepl.models.factory import options_of
from llmrepl.providers.base import (
    Event,
    Finish,
    Notice,
    Provider,
    ReasoningDelta,
    Request,
    Requesting,
    Retrying,
    TextDelta,
)
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.tokens import estimated, prompt_tokens, tokens, utf8_size
from llmrepl.sessions.secrets import StreamMasker
from llmrepl.sessions.storage.completion import Completion
from llmrepl.types import Attachment, Citation, Message, Usage

if TYPE_CHECKING:
    from llmrepl.billing.limits import Limit
    from llmrepl.models.resolver import ResolvedModel
    from llmrepl.sessions.model import Turn
    from llmrepl.sessions.storage.open_session import OpenSession

INTERRUPTED, ERROR = "interrupted", "error"
ORDINARY: Mapping[str, Any] = MappingProxyType({})
"""The marks of a turn that becomes part of the context."""

KINDS = {INTERRUPTED: "interrupted", ERROR: "failed"}
"""Ledger entry kinds of requests without a complete reply."""


@dataclass(frozen=True)
class TurnResult:
    """How a turn ended. `cost` is USD or None if unknown; `failure` the error; `unsaved` why the turn is not on disk.

    `left` is the remaining budget in USD, None without one. `session` and `number` tell where the turn is saved, None
    if it is not. `pictures` are the paths of the files that the reply brought. `stopped` says that the user stopped it.
    """

    text: str
    finish_reason: str
    usage: Usage | None
    cost: float | None
    left: float | None
    latency_ms: float
    model: str
    session: str | None
    number: int | None
    failure: LLMError | None
    unsaved: SaveError | None
    citations: Sequence[Citation] = ()
    pictures: Sequence[str] = ()
    stopped: bool = False


class ChatTurn:
    """A turn in progress: iterate for the events of the reply; leaving the `with` block saves the turn.

    KeyboardInterrupt and SignalExit propagate after the partial reply was saved.
    """

    def __init__(
        self,
        workspace: Workspace,
        text: str,
        open_session: OpenSession | None,
        *,
        model: str | None,
        system: str | None,
        replaces: int | None,
        undoes: Sequence[int],
        context: Sequence[Message] | None,
        attachments: Sequence[Attachment],
        marks: Mapping[str, Any],
        schema: Mapping[str, Any] | None,
        fallback: bool,
    ) -> None:
        self._workspace = workspace
        self._images = tuple(a for a in attachments if not a.media_type.startswith("text/"))
        self._context = context
        self._undoes = undoes
        self._schema = schema
        self._marks = marks
        self._fallback = fallback
        self._attachments = attachments
        self._undone: dict[int, Turn] = {}
        self._refused: list[str] = []
        self._replaced: Turn | None = None
        self._open_session = open_session
        self._model = model or workspace.chat.model
        self._system = system
        self._text_parts: list[str] = []
        self._extras = ReplyExtras()
        self._reply_bytes = 0
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._failure: LLMError | None = None
        self._unsaved: SaveError | None = None
        question = valid_text(append_texts(text, list(attachments)))
        self._masker = StreamMasker() if workspace.settings.flag("mask_secrets") else None
        self._question = self._masker.mask_text(question) if self._masker else question
        if self._question != question:
            workspace.notes.append("what looks like a secret is masked in what is sent and kept")
        self._replaces = replaces
        self._number: int | None = None
        self._is_reserved = False
        self.turn_result: TurnResult | None = None

    def reserve(self, limits: Sequence[tuple[Limit, float]] | None = None) -> None:
        """Choose the provider and reserve money within `limits`, by default all of them; `release` undoes that.

        Entering the `with` block does it if it was not done before. Raises UsageError, BudgetError.
        """
        workspace = self._workspace
        self._resolved, self._provider = workspace.provider(self._model)
        system = workspace.chat.system if self._system is None else self._system
        question = Message("user", self._question, self._images)
        if has_pdf([question]) and not _takes_pdfs(self._resolved):
            names = " and ".join(check(self._images, self._resolved.provider))
            workspace.notes.append(f"{self._resolved.provider} takes no PDFs. The text of {names} is sent.")
        self._messages = [*self._earlier(), question]
        self._request = Request(self._resolved.model, self._adapted(self._messages), system, schema=self._schema)
        self._reservation = workspace.reserve(self._resolved, lambda: prompt_tokens(self._request), limits)
        self._is_reserved = True

    def release(self) -> None:
        """Give up what was reserved, if anything was, for a turn that is not entered."""
        if self._is_reserved:
            self._workspace.cost_tracker().release(self._reservation)

    def __enter__(self) -> ChatTurn:
        workspace = self._workspace
        self._started = self._request_started = workspace.environment.monotonic()
        if not self._is_reserved:
            self.reserve()
        try:
            if self._open_session:
                self._begin(self._open_session)
            if self._attachments is workspace.chat.attachments:
                workspace.chat.attachments = []
            longest = workspace.longest_reply(self._resolved)
            options = self._reservation.capped(options_of(workspace.settings, self._resolved, longest))
            self._request = replace(self._request, options=options)
            workspace.environment.log(f"asking with {len(self._request.messages)} messages")
        except BaseException:  # also a signal: nothing was sent
            if self._open_session and self._number:
                self._abandon(self._open_session)
            workspace.cost_tracker().release(self._reservation)
            raise
        return self

    @property
    def messages(self) -> Sequence[Message]:
        """The messages that were sent, the question last."""
        return self._messages

    def _earlier(self) -> Sequence[Message]:
        """Return the messages before the question."""
        if self._context is not None:
            return self._context
        return self._open_session.session.context_without(self._undoes) if self._open_session else ()

    def __iter__(self) -> Iterator[Event]:
        """Yield the events of the reply. An error of the provider ends them and is in `turn_result`."""
        if self._unsaved:
            yield Notice(str(self._unsaved))
        others = iter(self._workspace.settings.names("fallback"))
        while True:
            try:
                yield from self._stream(self._provider)
                return
            except LLMError as failed:
                self._failure = failed
            if self._text_parts or self._extras.pictures or not isinstance(self._failure, ProviderError):
                return
            if not self._fallback:
                return
            failure = self._failure
            for name in chain(self._other_defaults(failure), others):
                try:
                    substitute = self._fall_back(name, failure)
                except LLMError as unusable:  # no key, a budget, an unknown name: the next one is tried
                    yield Notice(f"Cannot fall back to {escape_name(name)}: {unusable.message}")
                    continue
                yield Notice(f"{failure.message}. Asking {substitute} instead.")
                self._failure = None
                break
            else:
                return

    def _other_defaults(self, failure: ProviderError) -> Iterator[str]:
        """Other default models of the provider, if the one that was chosen does not exist."""
        chat, provider = self._workspace.chat, self._resolved.provider
        while failure.no_model and chat.chosen_default == self._resolved.shown and len(self._refused) < 3:
            self._refused.append(self._resolved.model)
            other = self._workspace.default_models().after_refusal(provider, self._refused)
            if other is None:
                return
            chat.chosen_default = f"{provider}/{other}"
            yield chat.chosen_default

    def _fall_back(self, name: str, failure: ProviderError) -> str:
        """Turn to another model after a failure before the first text; returns its name. Raises LLMError."""
        workspace = self._workspace
        resolved, provider = workspace.provider(name)
        tracker, session = workspace.cost_tracker(), self._session or ""
        usage = estimated(self._request, 0) if failure.may_be_billed else None
        messages = self._adapted(self._messages, resolved)
        request = replace(self._request, model=resolved.model, messages=messages)
        reservation = tracker.reserve(resolved, lambda: prompt_tokens(request))
        try:
            cost = tracker.record_retry(self._reservation, self._resolved, usage, session=session)
        finally:
            tracker.release(self._reservation)
            self._trace(None, "")
            self._reservation, self._resolved, self._provider = reservation, resolved, provider
            self._request_started = workspace.environment.monotonic()
        if self._open_session and self._number:
            if usage:
                self._open_session.session.add_request(usage, cost)
            self._open_session.set_answerer(self._number, resolved.shown)
        if workspace.chat.chosen_default == resolved.shown:
            workspace.chat.set_model(resolved.shown)
        options = reservation.capped(options_of(workspace.settings, resolved, workspace.longest_reply(resolved)))
        self._request = replace(request, options=options)
        return resolved.shown

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._workspace.signals.shield():  # a second Ctrl-C waits until the partial reply is saved
            self.turn_result = self._finalize(by_user=isinstance(error, KeyboardInterrupt | SignalExit))

    def _finalize(self, *, by_user: bool) -> TurnResult:
        """Save the turn and return its result; `by_user` says that the user stopped it."""
        self._workspace.environment.log("reply over")
        latency = (self._workspace.environment.monotonic() - self._started) * 1000
        text = "".join(self._text_parts)
        reason = self._outcome(text)
        usage = self._usage
        stopped = (
            self._failure is None and self._finish_reason is None
        )  # stopped by the user: what was sent is billed all the same
        may_be_billed = self._failure is not None and self._failure.may_be_billed
        if usage is None and (text or stopped or may_be_billed):
            usage = estimated(self._request, self._reply_bytes)
        cost = self._workspace.cost_tracker().record(
            self._reservation, self._resolved, usage, kind=KINDS.get(reason, "reply"), session=self._session or ""
        )
        saved = self._masker.mask_text(text) if self._masker else text
        self._trace(usage, saved)
        if self._open_session and self._number:
            extras = self._extras
            names = [path.name for path in extras.pictures]
            completion = Completion(saved, reason, latency, usage, cost, extras.citations, names, extras.provider_data)
            self._close(self._open_session, self._number, completion)
        return TurnResult(
            text=text,
            finish_reason=reason,
            usage=usage,
            cost=cost,
            left=self._workspace.cost_tracker().left,
            latency_ms=latency,
            model=self._resolved.shown,
            session=self._session,
            number=self._number,
            failure=self._failure,
            unsaved=self._unsaved,
            citations=self._extras.citations,
            pictures=[str(path) for path in self._extras.pictures],
            stopped=by_user,
        )

    def _adapted(self, messages: Sequence[Message], resolved: ResolvedModel | None = None) -> Sequence[Message]:
        """Return messages as the provider takes them, with the text of PDFs if it does not read these."""
        if not has_pdf(messages):
            return messages
        return adapt(messages, native=_takes_pdfs(resolved or self._resolved))

    def _load_telemetry(self) -> None:
        if (telemetry := self._workspace.telemetry()) and not self._workspace.chat.incognito:
            telemetry.start()

    def _trace(self, usage: Usage | None, text: str) -> None:
        """Send the span and the metrics of the request, if the user has set up a receiver; not in incognito mode."""
        telemetry = self._workspace.telemetry()
        if telemetry is None or self._workspace.chat.incognito:
            return
        from llmrepl.chat.telemetry import RequestRecord, content_attributes, error_type

        environment, reason = self._workspace.environment, self._finish_reason
        stopped = None if reason else INTERRUPTED
        telemetry.record(
            RequestRecord(
                provider=self._resolved.provider,
                model=self._resolved.model,
                ended_at=environment.now().timestamp(),
                seconds=environment.monotonic() - self._request_started,
                usage=usage,
                finish_reason=None if self._failure else reason,
                error_type=error_type(self._failure) if self._failure else stopped,
                content=content_attributes(self._request, text, self._outcome(text)) if telemetry.capture else {},
            )
        )

    @property
    def _session(self) -> str | None:
        return self._open_session.name if self._open_session and self._open_session.path else None

    def _begin(self, open_session: OpenSession) -> None:
        """Save the prompt and remove the turns that it supersedes from the context. Rolled back on failure."""
        created_at = self._workspace.environment.now().isoformat(timespec="microseconds")
        self._undone = {number: open_session.session.turns[number - 1] for number in self._undoes}
        self._number = len(open_session.session.turns) + 1 if self._replaces is None else self._replaces
        self._replaced = None if self._replaces is None else open_session.session.turns[self._replaces - 1]
        try:
            open_session.begin_turn(
                self._question,
                created_at,
                self._resolved.shown,
                self._replaces,
                self._images,
                undoes=self._undoes,
                marks=self._marks,
            )
        except SaveError as unsaved:
            if not self._workspace.environment.interactive():
                unsaved.hint = "nothing was sent; " + unsaved.hint
                raise
            self._unsaved = unsaved

    def _abandon(self, open_session: OpenSession) -> None:
        """Close the turn in memory and put back the turns that it supersedes."""
        if self._number is not None:
            open_session.abandon_turn(self._number)
            if self._replaced is not None:
                open_session.session.replace(self._number, self._replaced)
        for number, turn in self._undone.items():
            open_session.session.replace(number, turn)

    def _stream(self, provider: Provider) -> Iterator[Event]:
        open_session = self._open_session
        yield Requesting(self._resolved.shown)
        for event in provider.stream(self._request):
            if isinstance(event, TextDelta):
                if not self._text_parts:
                    self._workspace.environment.log("first text")
                    self._load_telemetry()
                self._text_parts.append(event.text)
                self._reply_bytes += utf8_size(event.text)
                if open_session:
                    open_session.append_text(self._masker.feed(event.text) if self._masker else event.text)
            elif isinstance(event, ReasoningDelta):
                self._reply_bytes += utf8_size(event.text)
            elif isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, Finish):
                self._finish_reason = event.reason
            elif notice := self._extras.take(event, open_session.path if open_session else None):
                yield notice
            elif isinstance(event, Retrying) and not event.seconds:
                usage = estimated(self._request, 0) if event.may_be_billed else None
                cost = self._workspace.cost_tracker().record_retry(
                    self._reservation, self._resolved, usage, session=self._session or ""
                )
                if usage and open_session:
                    open_session.session.add_request(usage, cost)
            yield event
            counted = self._usage.completion_tokens if self._usage else 0  # hidden reasoning too, where it is reported
            if not self._finish_reason and self._reservation.overrun(max(tokens(self._reply_bytes), counted)):
                raise BudgetError("Stopped the reply where the budget ends.", RAISE_SESSION)

    def _outcome(self, text: str) -> str:
        if self._finish_reason and not self._failure:
            return self._finish_reason
        return INTERRUPTED if text else ERROR

    def _close(self, open_session: OpenSession, number: int, reply: Completion) -> None:
        try:
            open_session.complete(number, reply)
            self._unsaved = None
        except SaveError as unsaved:
            self._unsaved = unsaved


def _takes_pdfs(resolved: ResolvedModel) -> bool:
    return resolved.vendor is not None and resolved.vendor.pdf


def ask(
    workspace: Workspace,
    text: str,
    *,
    model: str | None = None,
    system: str | None = None,
    replaces: int | None = None,
    undoes: Sequence[int] = (),
    keep: bool = True,
    context: Sequence[Message] | None = None,
    attachments: Sequence[Attachment] | None = None,
    marks: Mapping[str, Any] = ORDINARY,
    schema: Mapping[str, Any] | None = None,
    fallback: bool = True,
) -> ChatTurn:
    """Ask the model `text` in the open conversation (with `keep`), or on its own, after the messages `context`.

    `context` is by default that of the open conversation. `marks` are fields of the turn, such as `aside`, that keep it
    out of the context. The turn `replaces` is replaced, the turns `undoes` leave the context, once the prompt is on
    disk. `attachments` are sent with it, by default those that wait for the next prompt, which they then no longer do.
    The provider is asked for a reply that fits `schema`, which is not checked here.
    Without `fallback` no other model is asked if this one fails.

    Entering the `with` block raises UsageError for an unknown model or a missing key, BudgetError, and, when not
    interactive, SaveError. Nothing was sent then, and the conversation is unchanged.
    """
    open_session = workspace.chat.open_session() if keep else None
    waiting = workspace.chat.attachments if attachments is None else list(attachments)
    return ChatTurn(
        workspace,
        text,
        open_session,
        model=model,
        system=system,
        replaces=replaces,
        undoes=undoes,
        context=context,
        attachments=waiting,
        marks=marks,
        schema=schema,
        fallback=fallback,
    )
