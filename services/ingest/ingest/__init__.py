"""Takes what happened in the shop, keeps personal data in a vault and publishes events."""
