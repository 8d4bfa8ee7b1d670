"""Figures in, figures out: intervals, ROC, agreement, bootstrap, many readers and many cases."""
