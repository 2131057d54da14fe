"""What platforms send, as the events of ours that it tells of: one file per platform, pure, never an exception."""
