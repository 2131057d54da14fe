"""What is known of one customer: where it is and until when, why, and what happened and was told by time."""
