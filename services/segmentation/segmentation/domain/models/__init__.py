"""The models, one a file: what a shop knows of its customers beyond what happened."""
