"""A shop's static lists: put as a whole, by file or as JSON, and who stands on each."""
