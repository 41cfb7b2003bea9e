"""Turns text into batches: sources, features, shards, packing, pipeline."""
