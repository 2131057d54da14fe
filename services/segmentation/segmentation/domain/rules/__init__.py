"""The language of segments: a rule is read, reckoned, ordered, answered, and told in words."""
