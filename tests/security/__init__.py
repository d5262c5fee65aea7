"""What docs/security.md promises, attacked."""
