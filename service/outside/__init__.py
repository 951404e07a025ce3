"""Everything outside this process: remote hosts, reached through an egress guard, and the object storage."""
