"""Commands about what a prompt consists of."""
