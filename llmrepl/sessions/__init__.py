"""Sessions: conversations on disk, and everything that is done with them."""
