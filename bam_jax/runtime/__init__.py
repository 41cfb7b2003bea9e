"""Processes, the terminal, files and the machine."""
