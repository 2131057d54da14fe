"""Grafana's boards as code: `python -m deploy.grafana.boards` writes boards/*.json."""
