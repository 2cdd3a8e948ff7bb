"""Systems of record behind one port: they fill the mirror in `store` and carry out acts.

`local` is the one without a remote system: the mirror is filled from CSV files (`csv_reader` reads them,
`csv_rows` judges each row). Every fact is written with its source and its age. `truth` tells the notifier
from these facts whether a message may still go.
"""
