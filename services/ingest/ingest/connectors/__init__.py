"""What platforms send, as the events of ours that it tells of: a file or a folder for each, pure, never raising."""
