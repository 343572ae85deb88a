"""From an annotated archive to a bundle: ``mammosweep fit``. Read `recipe.py` first."""
