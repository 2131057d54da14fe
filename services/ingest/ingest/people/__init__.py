"""Who is who: the names people go by, found, linked, merged, split and shown."""
