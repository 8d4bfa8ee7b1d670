"""Reader studies: protocol, reading sessions, and the statistics of readers beside the model."""
