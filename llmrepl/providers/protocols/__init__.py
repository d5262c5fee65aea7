"""Protocols as pure functions: build a request body, read an event."""
