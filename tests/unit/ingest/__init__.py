"""What ingest takes, what it refuses, and why."""
