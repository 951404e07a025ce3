"""The networks' contracts, shapes and weights; the torch networks themselves; nothing here imports the service."""
