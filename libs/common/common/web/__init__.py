"""What every HTTP interface of the house has in common."""
