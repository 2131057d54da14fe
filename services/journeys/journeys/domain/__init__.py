"""What a journey is and how a customer walks it: pure, from frozen data to frozen data."""
