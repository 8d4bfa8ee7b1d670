"""Windows become network input, and what the images are fit for."""
