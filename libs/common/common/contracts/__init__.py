"""Every event of the house: one envelope, one file per topic's owner, one catalogue."""
