"""Keeps the points ledger, tiers and coupons."""
