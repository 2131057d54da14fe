"""What models said, how it is spread over the customers, and the scales of RFM that are made of it."""
