"""Providers: each turns a request into the same few events, by its own protocol."""
