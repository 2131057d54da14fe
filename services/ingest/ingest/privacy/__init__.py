"""A person's own data: asked for, shown whole, or forgotten."""
