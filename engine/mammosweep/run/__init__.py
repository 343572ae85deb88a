"""A sweep from its first file to its last row: chunks, the ledger they are committed to, and the summary.

Read `local` first: it is the loop. `chunks` cuts, `ledger` commits by rename, `finish` merges and counts.
"""
