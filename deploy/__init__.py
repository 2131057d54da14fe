"""How the house is deployed; the Python in here only writes files."""
