"""What COMMAND DOCS tells of commands beside their rows: how much work they are, and what changed.

The versions are Redis'. The work is that of this server, which copies a string to change a part.
"""

from __future__ import annotations

from typing import Final

#: Below each sentence the names of the commands that it holds for.
COMPLEXITIES: Final = """\
O(1)
    asking bgrewriteaof bgsave cluster|bumpepoch cluster|countkeysinslot cluster|failover
    cluster|flushslots cluster|forget cluster|help cluster|info cluster|meet cluster|myid
    cluster|myshardid cluster|replicas cluster|replicate cluster|saveconfig
    cluster|set-config-epoch cluster|setslot cluster|slaves config|help config|resetstat
    config|rewrite dbsize decr decrby expire expireat expiretime function|delete function|help
    function|kill function|stats get getbit getdel getex getset hexists hget hincrby hincrbyfloat
    hlen hsetnx hstrlen incr incrby incrbyfloat info lastsave memory|doctor memory|help memory|stats
    move multi object|encoding object|freq object|help object|idletime object|refcount persist
    pexpire pexpireat pexpiretime psetex pttl randomkey readonly readwrite rename renamenx replconf
    replicaof role scard script|debug script|help script|kill select set setex setnx sismember
    slaveof smove strlen time ttl type unwatch wait waitaof zcard zscore
That of the subcommand
    acl client cluster config debug function latency memory module object pubsub script slowlog
    xgroup xinfo
That of the script
    eval eval_ro evalsha evalsha_ro
That of the function
    fcall fcall_ro
That of the commands that were queued
    exec
That of the check
    pfdebug pfselftest
O(1) for each key
    watch
O(1) for each value of a collection, whose memory is freed bit by bit afterwards
    unlink
O(1) for each element
    hset pfadd sadd
O(N) where N is the number of keys
    exists mget mset msetnx touch
O(N) where N is the number of keys, and of the elements of those that are collections
    del
O(N) where N is the number of keys of the database
    flushdb keys
O(N) where N is the number of keys of all databases
    flushall save
O(N) where N is the number of keys of all databases if a snapshot is saved, else O(1)
    shutdown
O(N) where N is the number of elements of a collection, or the size of a string
    copy dump
O(N) where N is the number of elements or the size of a string; O(N*log(N)) for a sorted set
    restore restore-asking
O(N) where N is the number of elements that are looked at
    memory|usage
O(N) where N is the memory that was given out
    memory|malloc-stats memory|purge
O(N) where N is the number of clients that watch or wait for keys of the two
    swapdb
O(N) where N is the number of commands that were queued
    discard
O(1) for a call, O(N) from start to end, where N is the number of elements
    hscan scan sscan zscan
O(N) where N is the size of the string
    append bitcount bitfield bitop bitpos setbit setrange
O(1) for each operation
    bitfield_ro
O(N) where N is the size of the part
    getrange substr
O(N*M) where N and M are the sizes of the strings
    lcs
O(N) where N is the number of HyperLogLogs, at a high price for each
    pfmerge
O(1) for one that has not changed; else O(N) where N is their number, at a high price for each
    pfcount
O(N) where N is the number of fields
    hdel hmget hmset hrandfield
O(N) where N is the number of fields of the hash
    hgetall hkeys hvals
O(N) where N is the number of members of all the sets
    sdiff sdiffstore sunion sunionstore
O(N*M) at worst, where N is the number of members of the smallest set and M the number of sets
    sinter sintercard sinterstore
O(N) where N is the number of members of the set
    smembers
O(N) where N is the number of members that are named
    geopos smismember srem zmscore
O(N) where N is the number of members that are returned
    spop srandmember zrandmember
O(log(N)) where N is the number of members
    bzpopmax bzpopmin geodist zcount zincrby zlexcount zrank zrevrank
O(log(N)) for each member that is named, where N is the number of all
    geoadd geohash zadd zrem
O(log(N)+M) where N is the number of members and M of those that are returned
    zrange zrangebylex zrangebyscore zrevrange zrevrangebylex zrevrangebyscore
O(log(N)+M) where N is the number of members and M of those that are stored
    zrangestore
O(log(N)+M) where N is the number of members and M of those that are removed
    zremrangebylex zremrangebyrank zremrangebyscore
O(M*log(N)) where N is the number of members and M of those that are popped
    zpopmax zpopmin
O(K+M*log(N)) where K is the number of keys, N of the members and M of those that are popped
    bzmpop zmpop
O(L+(N-K)*log(N)) at worst, for L members of all sets, N of the first and K of the result
    zdiff zdiffstore
O(N*K+M*log(M)) at worst, for N members of the smallest of K sets and M of the result
    zinter zinterstore
O(N*K) at worst, where N is the number of members of the smallest set and K of sets
    zintercard
O(N+M*log(M)) where N is the number of members of all sets and M of the result's
    zunion zunionstore
O(N+log(M)) where N is the number of members in the box around the shape and M of all
    georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore
O(N) where N is the number of parameters
    config|get config|set
O(N) where N is the number of functions
    function|dump function|flush function|list function|restore
O(N) where N is the size of the code
    function|load script|load
O(N) where N is the number of scripts
    script|exists script|flush
O(N) where N is the number of nodes
    cluster|count-failure-reports cluster|links cluster|nodes cluster|reset cluster|shards
    cluster|slots
O(N) where N is the number of slots
    cluster|addslots cluster|addslotsrange cluster|delslots cluster|delslotsrange
O(N) where N is the number of keys that are asked for
    cluster|getkeysinslot
O(N) where N is the size of the key
    cluster|keyslot
"""

#: Below each name the versions that changed it.
HISTORY: Final = """\
acl|getuser
    6.2.0 Tells the patterns of channels.
    7.0.0 Tells selectors; patterns of keys and channels are one text of rules instead of a list.
acl|setuser
    6.2.0 Takes patterns of channels.
    7.0.0 Takes selectors and separate permissions to read and to write keys.
auth
    6.0.0 Takes a user's name before the password.
bgsave
    3.2.2 Takes `SCHEDULE`.
bitcount
    7.0.0 Takes `BYTE` and `BIT`.
bitpos
    7.0.0 Takes `BYTE` and `BIT`.
blpop
    6.0.0 The time to wait may have a fraction.
brpop
    6.0.0 The time to wait may have a fraction.
brpoplpush
    6.0.0 The time to wait may have a fraction.
bzpopmax
    6.0.0 The time to wait may have a fraction.
bzpopmin
    6.0.0 The time to wait may have a fraction.
client|kill
    2.8.12 Takes filters.
    2.8.12 Takes `ID`.
    3.2.0 `TYPE` takes `master`.
    5.0.0 `TYPE` takes `replica` for `slave`, which still goes.
    6.2.0 Takes `LADDR`.
client|list
    2.8.12 Tells `id`.
    5.0.0 Takes `TYPE`.
    6.0.0 Tells `user`.
    6.2.0 Tells `argv-mem`, `tot-mem`, `laddr` and `redir`; takes `ID`.
    7.0.0 Tells `resp`, `multi-mem`, `rbs` and `rbp`.
    7.0.3 Tells `ssub`.
client|pause
    6.2.0 Takes `WRITE` and `ALL`.
cluster|meet
    4.0.0 Takes the port of the bus.
cluster|slots
    4.0.0 Tells the ids of nodes.
    7.0.0 Tells more of each node's network.
command|info
    7.0.0 Without a name it describes all commands.
config|get
    7.0.0 Takes several patterns.
config|set
    7.0.0 Takes several parameters.
exists
    3.0.3 Takes several keys.
expire
    7.0.0 Takes `NX`, `XX`, `GT` and `LT`.
expireat
    7.0.0 Takes `NX`, `XX`, `GT` and `LT`.
flushall
    4.0.0 Takes `ASYNC`.
    6.2.0 Takes `SYNC`.
flushdb
    4.0.0 Takes `ASYNC`.
    6.2.0 Takes `SYNC`.
geoadd
    6.2.0 Takes `CH`, `NX` and `XX`.
georadius
    6.2.0 `COUNT` takes `ANY`.
    7.0.0 Units may be in upper case.
georadius_ro
    6.2.0 `COUNT` takes `ANY`.
georadiusbymember
    7.0.0 Units may be in upper case.
geosearch
    7.0.0 Units may be in upper case.
geosearchstore
    7.0.0 Units may be in upper case.
hdel
    2.4.0 Takes several fields.
hello
    6.2.0 Without a version it only tells of the connection.
hset
    4.0.0 Takes several fields with values.
info
    7.0.0 Takes several sections.
lpop
    6.2.0 Takes a count.
lpush
    2.4.0 Takes several elements.
lpushx
    4.0.0 Takes several elements.
migrate
    3.0.0 Takes `COPY` and `REPLACE`.
    3.0.6 Takes `KEYS`.
    4.0.7 Takes `AUTH`.
    6.0.0 Takes `AUTH2`.
pexpire
    7.0.0 Takes `NX`, `XX`, `GT` and `LT`.
pexpireat
    7.0.0 Takes `NX`, `XX`, `GT` and `LT`.
pttl
    2.8.0 Answers -2 where there is no key.
renamenx
    3.2.0 A key may be renamed to itself.
restore
    3.0.0 Takes `REPLACE`.
    5.0.0 Takes `ABSTTL`.
    5.0.0 Takes `IDLETIME` and `FREQ`.
restore-asking
    3.0.0 Takes `REPLACE`.
    5.0.0 Takes `ABSTTL`.
    5.0.0 Takes `IDLETIME` and `FREQ`.
rpop
    6.2.0 Takes a count.
rpush
    2.4.0 Takes several elements.
rpushx
    4.0.0 Takes several elements.
sadd
    2.4.0 Takes several members.
scan
    6.0.0 Takes `TYPE`.
script|flush
    6.2.0 Takes `ASYNC` and `SYNC`.
set
    2.6.12 Takes `EX`, `PX`, `NX` and `XX`.
    6.0.0 Takes `KEEPTTL`.
    6.2.0 Takes `GET`, `EXAT` and `PXAT`.
    7.0.0 `NX` and `GET` go together.
shutdown
    7.0.0 Takes `NOW`, `FORCE` and `ABORT`.
slowlog|get
    4.0.0 Tells the client's address and name.
spop
    3.2.0 Takes a count.
srandmember
    2.6.0 Takes a count.
srem
    2.4.0 Takes several members.
ttl
    2.8.0 Answers -2 where there is no key.
xadd
    6.2.0 Takes `NOMKSTREAM`, `MINID` and `LIMIT`.
    7.0.0 Takes ids of which only the time is given.
xautoclaim
    7.0.0 Tells which entries were forgotten because they are deleted.
xgroup|create
    7.0.0 Takes `ENTRIESREAD`.
xgroup|setid
    7.0.0 Takes `ENTRIESREAD`.
xinfo|groups
    7.0.0 Tells `entries-read` and `lag`.
xinfo|stream
    6.0.0 Takes `FULL`.
    7.0.0 Tells `entries-added`, `entries-read`, `lag`, and the first id and the highest deleted.
xpending
    6.2.0 Takes `IDLE`, and ranges without their ends.
xrange
    6.2.0 Takes ranges without their ends.
xrevrange
    6.2.0 Takes ranges without their ends.
xsetid
    7.0.0 Takes `ENTRIESADDED` and `MAXDELETEDID`.
xtrim
    6.2.0 Takes `MINID` and `LIMIT`.
zadd
    2.4.0 Takes several members.
    3.0.2 Takes `XX`, `NX`, `CH` and `INCR`.
    6.2.0 Takes `GT` and `LT`.
zrange
    6.2.0 Takes `REV`, `BYSCORE`, `BYLEX` and `LIMIT`.
zrangebyscore
    2.0.0 Takes `WITHSCORES`.
zrank
    7.2.0 Takes `WITHSCORE`.
zrem
    2.4.0 Takes several members.
zrevrangebyscore
    2.1.6 Takes ranges without their ends.
zrevrank
    7.2.0 Takes `WITHSCORE`.
"""
