"""A shop's own segments: made, previewed and edited while everything runs."""
