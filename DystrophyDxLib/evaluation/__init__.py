"""How good a model or a reader is: figures with intervals, comparisons, and whether heatmaps look where disease is."""
