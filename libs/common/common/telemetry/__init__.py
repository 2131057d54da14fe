"""What the house says about itself: metrics and logs."""
