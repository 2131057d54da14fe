"""How segmentation's tables came to be."""
