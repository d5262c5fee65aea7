"""The commands: one table, read by the prompt, the command line, scripts, completion and the reference page."""
