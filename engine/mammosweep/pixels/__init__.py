"""From a file's bytes to a normalised view: decode, photometry, segmentation, grid, gray levels.

Read `normalise.py` first: it is the stage. `decode.py` is the seam to the codecs.
"""
