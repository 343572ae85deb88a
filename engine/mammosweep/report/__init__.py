"""What a sweep leaves behind: Parquet tables, the worklist, a page per exam and the run's own record.

`schemas` says which columns there are, `tables` fills them, `worklist` orders the exams for reading, `page`
draws one exam and the run's front page, `runjson` writes the run's settings and counts.
"""
