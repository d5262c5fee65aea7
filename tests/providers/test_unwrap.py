"""Unwrapping of paragraphs into one line each."""

from __future__ import annotations

from llmrepl.providers.offline.unwrap import unwrap


def test_paragraphs_and_items_are_joined_and_code_and_tables_are_not() -> None:
    text = """A paragraph
of two lines.

- an item
  that goes on
- another

    code
    stays

```
so does
this
```
after it
| a | b |
| - | - |

# Heading
text"""
    joined = """A paragraph of two lines.

- an item that goes on
- another

    code
    stays

```
so does
this
```
after it
| a | b |
| - | - |

# Heading
text"""
    assert unwrap(text) == joined
