"""The recipes for deployment, read by the tools that they are for, and run: images, Compose, Kubernetes, monitoring."""
