"""The operating system: environment, files, signals and paths."""
