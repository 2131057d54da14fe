"""`regulars demo`: a shop made from a seed lives 60 days in a minute, and what comes of it is checked."""
