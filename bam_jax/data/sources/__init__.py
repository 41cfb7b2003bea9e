"""Text from outside, read and checked."""
