"""Replication as pure machines: no sockets, no clock, no randomness.

backlog.py      the stream's recent bytes, one ring shared by all replicas
identity.py     which histories this data set belongs to (PSYNC2)
psync.py        may a replica go on where it stopped?
propagation.py  what goes into the stream, and its SELECTs
feed.py         a master's half of one replica
scanner.py      commands out of a stream, with their exact sizes
follow.py       a replica's half of the link to its master
state.py        the server's replication as a whole: role, feeds, link, INFO and ROLE
"""
