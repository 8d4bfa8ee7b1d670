"""The tables, figures and report of a reader study."""
