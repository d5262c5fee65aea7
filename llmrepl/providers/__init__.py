"""Providers: each turns a request into the same events with its own protocol."""
