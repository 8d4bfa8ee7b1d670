"""Pages, tables and figures of results, and the folder that takes them."""
