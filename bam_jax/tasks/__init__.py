"""What a task is; no JAX."""
