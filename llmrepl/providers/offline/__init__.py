"""The offline provider: a guide to this program and an echo model, without network."""
