"""How replies look: on a terminal through rich, elsewhere as plain text."""
