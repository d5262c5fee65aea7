"""Work that waits until nobody types: the prompt appears first, the rest is loaded behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prompt_toolkit.application import Application

IDLE_SECONDS = 0.1


def when_idle(app: Application[Any], work: Callable[[], None], then: Callable[[], None]) -> None:
    """Run `work` in a thread once no key came for IDLE_SECONDS, then `then` where the prompt runs."""
    last_key = time.monotonic()

    def pressed(_: object) -> None:
        nonlocal last_key
        last_key = time.monotonic()

    async def wait() -> None:
        while (idle := time.monotonic() - last_key) < IDLE_SECONDS:
            await asyncio.sleep(IDLE_SECONDS - idle)
        app.key_processor.before_key_press -= pressed
        await asyncio.get_running_loop().run_in_executor(None, work)
        then()

    app.key_processor.before_key_press += pressed
    app.create_background_task(wait())


@contextmanager
def above(app: Application[Any]) -> Iterator[None]:
    """What is written within the block stands above the prompt.

    prompt_toolkit's run_in_terminal would do, but that for a moment echoes keys and makes Enter a new line.
    """
    app.renderer.erase()
    yield
    app.renderer.request_absolute_cursor_position()
    app.invalidate()
