"""What every service stands on: contracts, clock, pipeline, bus, database, web and telemetry."""
