"""A shop's own files (CSV, NDJSON, Parquet) as events, by a mapping that says what a row means."""
