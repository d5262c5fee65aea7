"""Attacks on the promises of docs/security.md."""
