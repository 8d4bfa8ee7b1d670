"""Recipes, model packages and the networks that they describe."""
