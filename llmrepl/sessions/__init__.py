"""Sessions: the model of a conversation, its files, and every operation on them."""
