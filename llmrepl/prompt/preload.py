"""Background work while the user is idle, so that the prompt appears first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from prompt_toolkit.application import Application

from llmrepl.errors import LLMError

IDLE_SECONDS = 0.1


def when_idle(app: Application[Any], work: Callable[[], None], then: Callable[[], None]) -> None:
    """Run `work` in a thread once no key was pressed for IDLE_SECONDS, then `then` in the prompt's thread."""
    last_key = time.monotonic()

    def pressed(_: object) -> None:
        nonlocal last_key
        last_key = time.monotonic()

    async def wait() -> None:
        while (idle := time.monotonic() - last_key) < IDLE_SECONDS:
            await asyncio.sleep(IDLE_SECONDS - idle)
        app.key_processor.before_key_press -= pressed
        await _in_thread(work)
        then()

    app.key_processor.before_key_press += pressed
    app.create_background_task(wait())


async def _in_thread(work: Callable[[], None]) -> None:
    """Run `work` in a daemon thread, which unlike an executor's does not delay the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(failure: Exception | None) -> None:
        if not done.done():
            done.set_result(None) if failure is None else done.set_exception(failure)

    def run() -> None:
        failure: Exception | None = None
        try:
            work()
        except (LLMError, OSError) as error:
            failure = error
        with suppress(RuntimeError):  # the prompt is gone, and its loop closed
            loop.call_soon_threadsafe(finish, failure)

    threading.Thread(target=run, name="preload", daemon=True).start()
    await done


@contextmanager
def write_above(app: Application[Any]) -> Iterator[None]:
    """Write above the prompt within the block.

    prompt_toolkit's run_in_terminal briefly echoes keys and turns Enter into a line feed.
    """
    app.renderer.erase()
    yield
    app.renderer.request_absolute_cursor_position()
    app.invalidate()
