"""Classes made of personal data: the tables they are found by, and how they are told."""
