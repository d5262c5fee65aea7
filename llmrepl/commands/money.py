"""Commands for money and tokens."""

from __future__ import annotations

from llmrepl.commands.keeping import by_turn, cost_text
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.replies import Document, Note, Reply, Several
from llmrepl.messages import count
from llmrepl.workspace import Workspace


@command(
    "cost",
    "what this session has cost, and its tokens",
    argument("detail", help="'detailed': turn by turn", choices=("detailed",), nargs="?"),
    group="money",
    example="cost detailed",
    where=PROMPT,
)
def cost(workspace: Workspace, detail: str | None) -> Reply:
    """The cost of the open session: what is known, and how many turns are not."""
    keeper = workspace.current
    if keeper is None or not keeper.session.turns:
        return Note("nothing was asked yet")
    session = keeper.session
    totals = session.usage_totals
    tokens = (totals.total_tokens or 0) if totals else 0
    line = Document(
        f"Cost: {cost_text(session)} ({count(tokens, 'token')} in {count(len(session.turns), 'turn')})"
    )
    return Several([line, by_turn(session)]) if detail else line
