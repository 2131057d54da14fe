"""What notifier decides and says, without a clock, a database or a network."""
