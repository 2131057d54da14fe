"""The counting job as peers are told it: scripts for environments of their own, in which alone their imports exist."""
