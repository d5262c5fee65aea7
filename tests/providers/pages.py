"""A small documentation to search."""

PAGES = {
    "sessions.md": """# Sessions

A conversation is a session, a JSON file.

## Save a session

`:save NAME` gives the session a name.

## Export a session

`:export md notes.md` writes the conversation as Markdown, `:export html` as a page for a browser.

```sh
# not a heading
llm sessions export NAME md
```

## Delete a session

`:delete NAME` moves it to the trash.
""",
    "money.md": """# Money

## What a turn costs

The price of the tokens. `:cost` shows it, `:cost detailed` turn by turn.

## Budgets

`:budget 2` refuses what would pass 2 USD.
""",
    "keys.md": """# Keys and providers

## API keys

`OPENAI_API_KEY` in the environment, or `llm keys set openai`.

## The settings

`:set temperature 0.2` changes a setting for this shell.
""",
}
