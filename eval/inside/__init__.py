"""What runs inside the sandbox, on the standard library alone: two processes that exchange plain data."""
