"""Measurements of bam_jax: each prints what it measured and on what."""
