"""A world without servers in which the real rules decide: name servers, caches, hosts, runs that stop or sleep.

`dns` is the DNS repository with everything that shows it, `branch` what git makes of its proposals, `hosts` are the
servers and their receivers, `world` puts them together and holds the promise against them, `runs` are the verbs,
effect by effect, `forecast` plays the time ahead. Nothing here reads, waits or writes: the tests search this world for
a way to break the promise, and `sslops simulate` lets the present repository live in it.
"""
