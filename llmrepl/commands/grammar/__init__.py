"""The commands by name, the errors for wrong arguments, and the help pages."""
