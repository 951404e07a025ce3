"""Durable jobs: credits, retries, the store. They arrive with the service issue."""
