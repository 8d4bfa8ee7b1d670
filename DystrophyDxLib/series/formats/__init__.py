"""Files of images from anywhere, read by code of our own: a header is believed only as far as its file bears it out."""
