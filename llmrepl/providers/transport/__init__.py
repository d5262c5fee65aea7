"""Transport: HTTP connections, and the framing of streams."""
