"""What lies outside of this process: strangers' hosts, behind a guard, and the object storage."""
