"""CPU time of drawing a streamed reply: constant per token, and against rich as the baseline."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from llmrepl.rendering.reply_view import ReplyView
from tests.bench import Figure
from tests.rendering.corpus import replies

SHORT, WHOLE, LONG = 1_000, 20_000, 50_000
"""Tokens in a reply."""

LIVE = 1_000
"""Tokens of the reply that rich.live draws, which is slow."""

TOKEN = 4
"""Characters in a token."""


def measure() -> list[Figure]:
    """Measure the CPU time of drawing alone, with updates combined and with every update drawn."""
    figures = []
    for name, clock in (("as fast as they come", time.monotonic), ("each of them drawn", stopped)):
        short = best(partial(stream, SHORT, clock), 7) / SHORT
        long = best(partial(stream, LONG, clock), 1) / LONG
        detail = f"{long * 1e6:.1f} us / {short * 1e6:.1f} us"
        figures.append(Figure(f"a token at {LONG:,} / at {SHORT:,}, {name}", long / short, 1.2, detail))
    ours, rich = best(lambda: stream(WHOLE, time.monotonic), 2), best(lambda: once(WHOLE), 2)
    detail = f"{ours:.3f} s / {rich:.3f} s"
    figures.append(Figure(f"{WHOLE:,} tokens streamed / rendered once by rich", ours / rich, 1.5, detail))
    ours, live = best(lambda: stream(LIVE, stopped), 3), best(lambda: whole_again(LIVE), 1)
    detail = f"{ours:.3f} s / {live:.3f} s"
    figures.append(Figure(f"{LIVE:,} tokens, each drawn / by rich.live", ours / live, 1 / 3, detail))
    return figures


def stopped() -> float:
    """Return a clock that stands still, so that every update is drawn."""
    return 0.0


def best(work: Callable[[], None], times: int) -> float:
    """Return the minimum CPU seconds of several runs."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def tokens(count: int) -> list[str]:
    """Generate a reply of `count` tokens: prose, lists, code and tables, in the same mixture per thousand."""
    each = replies()
    text = "\n\n".join((each["caching"], each["plan"], each["prose"]))[: 1_000 * TOKEN - 2] + "\n\n"
    text *= count // 1_000
    return [text[at : at + TOKEN] for at in range(0, count * TOKEN, TOKEN)]


def screen() -> Console:
    """Return a console of 100 x 40 cells whose output is discarded."""
    return Console(file=io.StringIO(), width=100, height=40, force_terminal=True, color_system="standard")


def stream(count: int, clock: Callable[[], float]) -> None:
    """Draw a streamed reply."""
    view = ReplyView(screen(), clock=clock)
    for token in tokens(count):
        view.text(token)
    view.finish()


def once(count: int) -> None:
    """Render the complete reply once with rich."""
    screen().print(Markdown("".join(tokens(count))))


def whole_again(count: int) -> None:
    """Draw the reply with rich.live, which renders all of it for each token."""
    text = ""
    with Live(console=screen(), auto_refresh=False, vertical_overflow="visible") as live:
        for token in tokens(count):
            text += token
            live.update(Markdown(text), refresh=True)
