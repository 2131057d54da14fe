"""`regulars bench`: what this machine does, each figure beside what a bare script makes of the same work."""
