"""Decoding in processes that may be lost: a codec that crashes, hangs or balloons costs one image.

`process.py` is the parent's end of one worker, `worker.py` the worker itself, `slot.py` the memory that both
map (the file's bytes one way, the pixels the other), `message.py` what is said about it. Nothing is pickled,
and no pixel goes through a pipe.
"""
