"""One turn, end to end: the question is on disk before it is sent, and however the reply ends, the turn is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from llmrepl.billing.cost_tracker import GO_ON
from llmrepl.chat.attachments import with_texts
from llmrepl.chat.workspace import Workspace
from llmrepl.errors import Failure, NotSaved, OverBudget
from llmrepl.models.factory import options_of
from llmrepl.providers.base import Event, Finish, Message, Notice, Provider, Reasoning, Request, Text, Usage, Waiting
from llmrepl.providers.tokens import estimated, prompt_tokens, tokens, utf8_size
from llmrepl.sessions.secrets import Masking
from llmrepl.sessions.storage.completion import Reply

if TYPE_CHECKING:
    from llmrepl.sessions.storage.open_session import Keeper

INTERRUPTED, ERROR = "interrupted", "error"
KINDS = {INTERRUPTED: "interrupted", ERROR: "failed"}
"""The kinds of requests in the ledger that did not end in a whole reply."""


@dataclass(frozen=True)
class Outcome:
    """How a turn ended. `cost` is USD, None if unknown; `failure` what went wrong; `unsaved` why it is not on disk.

    `left` is what the budget leaves, in USD, None without one. `session` and `number` say where the turn is kept, None
    when it is not.
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
    failure: Failure | None
    unsaved: NotSaved | None


class Exchange:
    """A turn under way: iterate for the events of its reply; leaving the `with` block closes and keeps it.

    An interruption (KeyboardInterrupt, Stopped) goes through, after what had come was saved.
    """

    def __init__(
        self,
        workspace: Workspace,
        text: str,
        keeper: Keeper | None,
        *,
        model: str | None,
        system: str | None,
        replaces: int | None,
        context: Sequence[Message],
    ) -> None:
        self._workspace = workspace
        self._images = tuple(a for a in workspace.attachments if not a.media_type.startswith("text/"))
        self._context = context
        self._keeper = keeper
        self._model = model or workspace.model
        self._system = system
        self._parts: list[str] = []
        self._replied = 0
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._failure: Failure | None = None
        self._unsaved: NotSaved | None = None
        question = with_texts(text, workspace.attachments).encode("utf-8", "replace").decode()
        self._masking = Masking() if workspace.settings.flag("mask_secrets") else None
        self._question = self._masking.whole(question) if self._masking else question
        if self._question != question:
            workspace.notes.append("what looks like a secret is masked in what is sent and kept")
        self._replaces = replaces
        self._number: int | None = None
        self.outcome: Outcome | None = None

    def __enter__(self) -> Exchange:
        workspace = self._workspace
        self._chosen, self._provider = workspace.provider(self._model)
        self._started = workspace.world.monotonic()
        system = workspace.system if self._system is None else self._system
        question = Message("user", self._question, self._images)

        def most_tokens() -> int:
            before = self._keeper.session.context() if self._keeper else self._context
            return prompt_tokens(Request(self._chosen.model, [*before, question], system))

        self._ticket = workspace.till().open(self._chosen, most_tokens)
        context = [*self._context, question]
        if self._keeper:
            try:
                self._begin(self._keeper)
            except BaseException:
                workspace.till().release(self._ticket)
                raise
            context = self._keeper.session.context()
        options = self._ticket.capped(options_of(workspace.settings))
        self._request = Request(self._chosen.model, context, system, options)
        workspace.world.log(f"asking with {len(context)} messages")
        return self

    def __iter__(self) -> Iterator[Event]:
        """The events of the reply. A failure of the provider ends them; it is in the outcome."""
        if self._unsaved:
            yield Notice(str(self._unsaved))
        try:
            yield from self._stream(self._provider)
        except Failure as failure:
            self._failure = failure

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._workspace.signals.shield():  # a second Ctrl-C waits until the first one's part is kept
            self.outcome = self._closed()

    def _closed(self) -> Outcome:
        """Close the turn and keep it; how it ended."""
        self._workspace.world.log("reply over")
        latency = (self._workspace.world.monotonic() - self._started) * 1000
        text = "".join(self._parts)
        reason = self._reason(text)
        usage = self._usage
        stopped = self._failure is None and self._finish is None  # by the user: what was sent is paid all the same
        worked = self._failure is not None and self._failure.worked
        if usage is None and (text or stopped or worked):
            usage = estimated(self._request, self._replied)
        cost = self._workspace.till().settle(
            self._ticket, self._chosen, usage, kind=KINDS.get(reason, "reply"), session=self._session or ""
        )
        if self._keeper and self._number:
            kept = self._masking.whole(text) if self._masking else text
            self._close(self._keeper, self._number, Reply(kept, reason, latency, usage, cost))
        return Outcome(
            text=text,
            finish_reason=reason,
            usage=usage,
            cost=cost,
            left=self._workspace.till().left,
            latency_ms=latency,
            model=self._model,
            session=self._session,
            number=self._number,
            failure=self._failure,
            unsaved=self._unsaved,
        )

    @property
    def _session(self) -> str | None:
        return self._keeper.name if self._keeper and self._keeper.path else None

    def _begin(self, keeper: Keeper) -> None:
        answered_by = self._model if self._model != keeper.session.model else None
        created_at = self._workspace.world.now().isoformat(timespec="microseconds")
        self._number = len(keeper.session.turns) + 1 if self._replaces is None else self._replaces
        try:
            keeper.begin(self._question, created_at, answered_by, self._replaces, self._images)
            self._workspace.attachments.clear()
        except NotSaved as unsaved:
            if not self._workspace.world.interactive():
                unsaved.next = "nothing was sent; " + unsaved.next
                keeper.abandon(self._number)
                raise
            self._unsaved = unsaved
        except BaseException:  # Ctrl-C or a signal, before anything was sent
            keeper.abandon(self._number)
            raise

    def _stream(self, provider: Provider) -> Iterator[Event]:
        keeper = self._keeper
        for event in provider.stream(self._request):
            if isinstance(event, Text):
                if not self._parts:
                    self._workspace.world.log("first text")
                self._parts.append(event.text)
                self._replied += utf8_size(event.text)
                if keeper:
                    keeper.grow(self._masking.feed(event.text) if self._masking else event.text)
            elif isinstance(event, Reasoning):
                self._replied += utf8_size(event.text)
            elif isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, Finish):
                self._finish = event.reason
            elif isinstance(event, Waiting) and not event.seconds:
                usage = estimated(self._request, 0) if event.worked else None
                self._workspace.till().retried(self._ticket, self._chosen, usage, session=self._session or "")
            yield event
            if self._ticket.overrun(tokens(self._replied)):
                raise OverBudget("the reply was stopped where the budget ends", GO_ON)

    def _reason(self, text: str) -> str:
        if self._finish and not self._failure:
            return self._finish
        return INTERRUPTED if text else ERROR

    def _close(self, keeper: Keeper, number: int, reply: Reply) -> None:
        try:
            keeper.finish(number, reply)
            self._unsaved = None
        except NotSaved as unsaved:
            self._unsaved = unsaved


def ask(
    workspace: Workspace,
    text: str,
    *,
    model: str | None = None,
    system: str | None = None,
    replaces: int | None = None,
    keep: bool = True,
    context: Sequence[Message] = (),
) -> Exchange:
    """Ask the model `text` in the open conversation (with `keep`), or on its own, after `context`.

    Raises, when the `with` block is entered: WrongUse for an unknown model or a missing key, OverBudget, and
    off a terminal NotSaved. Nothing was sent then.
    """
    keeper = workspace.keeper() if keep else None
    return Exchange(workspace, text, keeper, model=model, system=system, replaces=replaces, context=context)
