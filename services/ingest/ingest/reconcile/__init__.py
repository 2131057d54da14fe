"""Reconciliation: platforms lose webhooks, so they are asked what has changed, and what was missed is told once."""
