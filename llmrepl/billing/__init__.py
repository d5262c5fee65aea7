"""Billing: prices, costs, limits and the usage ledger."""
