"""Which part of a series is looked at: windows of legs, squares or volumes, found or drawn."""
