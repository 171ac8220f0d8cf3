"""Train on Kaggle's machines from here, and bring the run back as if it had been trained here.

    wanted.resolve(arguments)                 which training, checked before anything is sent
    sessions.begin(kaggle, wanted, …)         push it, once; `remote.json` in the run's folder says so first
    following.follow(kaggle, run)             queued, running, its log, and at the end the fetching
    fetching.fetch(kaggle, run)               download, verify, put in place

A session is a private script kernel of its own: its name is new, so what Kaggle says of it is never another's.
"""
