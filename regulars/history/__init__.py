"""What happened in a shop before: known data sets, sent into a system that runs, or lived through in virtual time."""
