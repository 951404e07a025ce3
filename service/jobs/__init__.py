"""Durable jobs: their states, credits, store and workflow."""
