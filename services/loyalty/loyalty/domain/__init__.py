"""What loyalty decides: pure, no clock, no input or output."""
