"""What is computed: encoders, heads and what they cost."""
