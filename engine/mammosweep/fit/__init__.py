"""From an annotated archive to a bundle. Read `recipe.py` first; `python -m mammosweep.fit` runs it."""
