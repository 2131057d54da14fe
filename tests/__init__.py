"""The laws, units and real servers that Regulars is held to."""
