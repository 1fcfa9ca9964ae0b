"""The throw-away world of `sslops demo`: name server, listeners, repositories and keys, all on loopback in one folder.

Everything in it is real but small; the verbs that run in it are the ones everybody runs.
"""
