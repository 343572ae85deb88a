"""What a finding is: where in the breast it lies (`quadrant.py`, `depth.py`) and what it looks like
(`character.py`). `describe.py` runs them and makes the `Finding` records.
"""
