"""A shop's rulebook as it is now: made of its presets and own segments, refreshed by edits, felt by everybody."""
