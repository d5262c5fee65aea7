"""Commands of the session manager."""
