"""The command `regulars`: the only place that knows all services."""
