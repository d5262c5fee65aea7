"""One module for each program that conversations are imported from."""
