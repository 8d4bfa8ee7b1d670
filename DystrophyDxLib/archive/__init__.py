"""Many studies: found, classified on Ray, and told in one dataset."""
