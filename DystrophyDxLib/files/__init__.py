"""Files that others lean on: tables, small files within bounds, and what is shipped beside the code."""
