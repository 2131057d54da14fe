"""What segmentation decides, without a clock, a database or a bus."""
