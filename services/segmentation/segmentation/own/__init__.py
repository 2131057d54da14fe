"""A shop's own segments and lists: made and edited while everything runs, and asked of everybody after that."""
