"""What platforms send, as the events of ours that it tells of: a file or a folder per platform, pure, never an exception."""
