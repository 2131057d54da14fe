"""What ingest decides, pure: whether a sender's event is taken, and what of it may travel."""
