"""Models: what a name refers to, default models, model lists and local servers."""
