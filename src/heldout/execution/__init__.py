"""Jobs and what they return."""
