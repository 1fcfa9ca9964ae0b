"""The promise: five rules, as pure functions, that keep every cached TLSA RRset true (design section 2).

`names` says where a service's records live, `records` what they say, `evidence` since when they can be relied on,
`gate` whether a host may serve a generation, `transitions` which records may come and go.
"""
