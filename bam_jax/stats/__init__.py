"""Numbers over trials; no JAX."""
