"""Runs a GGUF model file on this machine: llama.cpp in a process of its own, spoken to over loopback HTTP."""
