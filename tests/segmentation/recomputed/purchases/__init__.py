"""What was published of real shops, and what a recompute of their files says, against what we answer."""
