"""Candidates in four views: read `detector.py` (the seam) first, `network.py` second."""
