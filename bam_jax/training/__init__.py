"""What runs on devices: steps, loops, checkpoints."""
