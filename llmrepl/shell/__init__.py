"""Runs inputs one after another, whether they come from the prompt, a script or the command line."""
