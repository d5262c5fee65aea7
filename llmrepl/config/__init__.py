"""Configuration: settings, the configuration file, and API keys."""
