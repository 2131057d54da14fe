"""What the verbs of the command do, a file each; those with a room of their own: bench, demo, files and history."""
