"""A world without servers in which the real stages run: name servers, caches, hosts, a forge, runs that stop or sleep.

`dns` is the DNS repository with everything that shows it, `branch` what git makes of its proposals, `challenges` what
`renew` does there, `ops` the ops repository, `forge` merge requests, `hosts` and `receivers` the servers. `world` puts
them together and holds the promise against them. `stages` says which of them stands behind which port of the Publisher,
the Roller, the Deployer, and `scheduler` lets these go on call by call; `forecast` plays the time ahead. Nothing here
reads, waits or writes: the tests search this world for a way to break the promise, and `sslops simulate` lets the
present repository live in it.
"""
