"""What is asked about segments: which there are, who is in them, how many now and over time, and in several at once."""
