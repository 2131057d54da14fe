"""The benchmark: what is pure in it, and that every module of it runs."""
