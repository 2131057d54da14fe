"""The `regulars` command as a person uses it: real processes, the embedded PostgreSQL, real HTTP."""
