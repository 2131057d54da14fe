"""PostgreSQL: connections, tables every service has, and the statements of the road."""
