"""The map of a thigh's muscles."""
