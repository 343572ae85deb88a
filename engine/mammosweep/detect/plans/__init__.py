"""Plans: the detector's networks compiled for one device; read `seam.py` first, `eager.py` second."""
