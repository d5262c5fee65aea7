"""What the prompt shows besides the input: banner, recap, bottom line, title."""
