"""What is remembered of a customer, how that comes of what happened, and the view of it that is asked about."""
