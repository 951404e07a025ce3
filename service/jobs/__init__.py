"""Durable jobs: states, credits, database and workflow."""
