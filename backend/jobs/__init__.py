"""Long work: a worker takes queued rows, and does of each what its ledger lacks.

    worker.py              the process: heartbeat, reconciler, signals
    running/reconcile.py   rows that are queued or orphaned -> workflows of the job engine
    running/transact.py    the job engine (DBOS Transact), behind six functions
    running/parts.py       one job, part by part: errors into states, stop between parts
    generate.py            score.py    train.py    the kinds of work, each a generator of parts

The ledgers are ours and the job engine only drives: it remembers that a job is to be done, and
starts it again after a crash. What was done is read from our own tables.
"""
