"""Directories of Hugging Face, in and out."""
