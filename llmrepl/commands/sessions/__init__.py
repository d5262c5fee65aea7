"""Commands that manage saved sessions."""
