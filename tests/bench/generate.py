"""Generate a directory of random sessions from a fixed seed: `python -m tests.bench.generate COUNT DIRECTORY`."""

from __future__ import annotations

import argparse
import json
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

MODELS = (
    ("openai/gpt-4o-mini", 0.6e-6),
    ("openai/gpt-4o", 10e-6),
    ("anthropic/claude-3-haiku", 1.25e-6),
    ("anthropic/claude-sonnet-4", 15e-6),
    ("ollama/llama3", None),
)
"""Models, and USD for a token of each, None if nobody knows."""

WORDS = tuple(
    """the a this that how why when what do does can could please explain write fix list show compare python rust shell
    function class loop index query table session token model server client socket timeout error warning exception test
    file directory path stream buffer thread process lock queue cache memory network request response header parser
    compiler iterator generator decorator closure module package import release version branch merge commit patch
    with without from into over under between before after because while since each every some many fast slow small
    large simple careful better worse same other first last next previous value result number string bytes text line
    über naïve façade 日本語 данные""".split()
)

FIRST_DAY = datetime(2024, 1, 1)
RARE = "quicksilver"
"""A word that one session in a thousand has."""


def generate(directory: Path, number: int, *, turns: tuple[int, int] = (1, 30), seed: int = 1) -> None:
    """Write `number` sessions of `turns` (min, max) turns into `directory`, in the format of the shell."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    rng = random.Random(seed)
    sentences = [_sentence(rng) for _ in range(4000)]
    for at in range(number):
        name, text = _session(rng, at, rng.randint(*turns), sentences)
        (directory / name).write_text(text, encoding="utf-8")


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(6, 18))).capitalize() + rng.choice(".?!")


def _session(rng: random.Random, at: int, turns: int, sentences: list[str]) -> tuple[str, str]:
    """Return the file name and the JSON of a session. Each text has a unique word, so that searches differ in hits."""
    created = FIRST_DAY + timedelta(minutes=at * 11, microseconds=rng.randrange(10**6))
    model, price = MODELS[rng.randrange(len(MODELS))]
    topic = rng.choice(WORDS)
    mark = f"{RARE} " if at % 1000 == 500 else ""
    done, prompt_sum, completion_sum = [], 0, 0
    for turn in range(turns):
        question = f"{mark}{sentences[rng.randrange(len(sentences))]} ({at:06}-{turn})"
        answer = " ".join(sentences[rng.randrange(len(sentences))] for _ in range(rng.randint(1, 4)))
        prompt, completion = len(question) // 4 + prompt_sum // 4, len(answer) // 4
        prompt_sum, completion_sum = prompt_sum + prompt, completion_sum + completion
        done.append(_turn(question, answer, prompt, completion, price, created + timedelta(seconds=20 * turn)))
    session = {
        "model": model,
        "system": f"You are a {topic} assistant" if at % 3 else None,
        "created_at": created.isoformat(timespec="microseconds"),
        "turns": done,
        "usage_totals": _usage(prompt_sum, completion_sum),
        "meta": {"title": f"{topic.capitalize()} {at}", "tags": [topic, f"t{at % 7}"]},
    }
    return f"session_{created:%Y%m%d_%H%M%S}_{at:06}.json", json.dumps(session, indent=2, ensure_ascii=False) + "\n"


def _turn(
    question: str, answer: str, prompt: int, completion: int, price: float | None, at: datetime
) -> dict[str, Any]:
    turn: dict[str, Any] = {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "usage": _usage(prompt, completion),
        "latency_ms": 800.0 + completion,
    }
    if price is not None:
        turn["cost_estimate"] = round((prompt + completion) * price, 8)
    return {**turn, "created_at": at.isoformat(timespec="microseconds"), "finish_reason": "stop"}


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def main() -> int:
    """Generate the sessions that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.generate", description="Write made-up sessions.")
    parser.add_argument("number", type=int, metavar="COUNT")
    parser.add_argument("directory", type=Path)
    wanted = parser.parse_args()
    generate(wanted.directory, wanted.number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
