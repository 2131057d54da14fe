"""The recipes of deploy/ and beside it: read as Docker, Compose, Kubernetes, Prometheus and Grafana read them, and run."""
