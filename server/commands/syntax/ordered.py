"""The arguments of commands on sorted sets and streams.

In the notation that this package's `__init__` explains.
"""

from __future__ import annotations

from typing import Final

SYNTAX: Final = """\
bzmpop
    timeout:double numkeys:integer key:key@0* where:oneof( min:pure-token=MIN max:pure-token=MAX
    ) count:integer=COUNT?
bzpopmax  key:key@0* timeout:double
bzpopmin  key:key@0* timeout:double
zadd
    key:key@0 condition:oneof^3.0.2?( nx:pure-token=NX xx:pure-token=XX )
    comparison:oneof^6.2.0?( gt:pure-token=GT lt:pure-token=LT ) change:pure-token=CH^3.0.2?
    increment:pure-token=INCR^3.0.2? score_member:block*( score:double member:string )
zcard  key:key@0
zcount  key:key@0 min:double max:double
zdiff  numkeys:integer key:key@0* withscores:pure-token=WITHSCORES?
zdiffstore  destination:key@0 numkeys:integer key:key@1*
zincrby  key:key@0 increment:integer member:string
zinter
    numkeys:integer key:key@0* weight:integer=WEIGHTS?* aggregate:oneof=AGGREGATE?(
    sum:pure-token=SUM min:pure-token=MIN max:pure-token=MAX ) withscores:pure-token=WITHSCORES?
zintercard  numkeys:integer key:key@0* limit:integer=LIMIT?
zinterstore
    destination:key@0 numkeys:integer key:key@1* weight:integer=WEIGHTS?*
    aggregate:oneof=AGGREGATE?( sum:pure-token=SUM min:pure-token=MIN max:pure-token=MAX )
zlexcount  key:key@0 min:string max:string
zmpop
    numkeys:integer key:key@0* where:oneof( min:pure-token=MIN max:pure-token=MAX )
    count:integer=COUNT?
zmscore  key:key@0 member:string*
zpopmax  key:key@0 count:integer?
zpopmin  key:key@0 count:integer?
zrandmember  key:key@0 options:block?( count:integer withscores:pure-token=WITHSCORES? )
zrange
    key:key@0 start:string stop:string sortby:oneof^6.2.0?( byscore:pure-token=BYSCORE
    bylex:pure-token=BYLEX ) rev:pure-token=REV^6.2.0? offset_count:block=LIMIT^6.2.0?(
    offset:integer count:integer ) withscores:pure-token=WITHSCORES?
zrangebylex
    key:key@0 min:string max:string offset_count:block=LIMIT?( offset:integer count:integer )
zrangebyscore
    key:key@0 min:double max:double withscores:pure-token=WITHSCORES^2.0.0?
    offset_count:block=LIMIT?( offset:integer count:integer )
zrangestore
    dst:key@0 src:key@1 min:string max:string sortby:oneof?( byscore:pure-token=BYSCORE
    bylex:pure-token=BYLEX ) rev:pure-token=REV? offset_count:block=LIMIT?( offset:integer
    count:integer )
zrank  key:key@0 member:string withscore:pure-token=WITHSCORE^7.2.0?
zrem  key:key@0 member:string*
zremrangebylex  key:key@0 min:string max:string
zremrangebyrank  key:key@0 start:integer stop:integer
zremrangebyscore  key:key@0 min:double max:double
zrevrange  key:key@0 start:integer stop:integer withscores:pure-token=WITHSCORES?
zrevrangebylex
    key:key@0 max:string min:string offset_count:block=LIMIT?( offset:integer count:integer )
zrevrangebyscore
    key:key@0 max:double min:double withscores:pure-token=WITHSCORES? offset_count:block=LIMIT?(
    offset:integer count:integer )
zrevrank  key:key@0 member:string withscore:pure-token=WITHSCORE^7.2.0?
zscan  key:key@0 cursor:integer pattern:pattern=MATCH? count:integer=COUNT?
zscore  key:key@0 member:string
zunion
    numkeys:integer key:key@0* weight:integer=WEIGHTS?* aggregate:oneof=AGGREGATE?(
    sum:pure-token=SUM min:pure-token=MIN max:pure-token=MAX ) withscores:pure-token=WITHSCORES?
zunionstore
    destination:key@0 numkeys:integer key:key@1* weight:integer=WEIGHTS?*
    aggregate:oneof=AGGREGATE?( sum:pure-token=SUM min:pure-token=MIN max:pure-token=MAX )
xack  key:key@0 group:string id:string*
xadd
    key:key@0 nomkstream:pure-token=NOMKSTREAM^6.2.0? trim:block?( strategy:oneof(
    maxlen:pure-token=MAXLEN minid:pure-token=MINID^6.2.0 ) operator:oneof?( equal:pure-token==
    approximately:pure-token=~ ) threshold:string count:integer=LIMIT^6.2.0? ) id_or_auto:oneof(
    auto_id:pure-token='*' id:string ) field_value:block*( field:string value:string )
xautoclaim
    key:key@0 group:string consumer:string min-idle-time:string start:string
    count:integer=COUNT? justid:pure-token=JUSTID?
xclaim
    key:key@0 group:string consumer:string min-idle-time:string id:string* ms:integer=IDLE?
    unix-time-milliseconds:unix-time=TIME? count:integer=RETRYCOUNT? force:pure-token=FORCE?
    justid:pure-token=JUSTID? id:string=LASTID?
xdel  key:key@0 id:string*
xgroup|create
    key:key@0 groupname:string id:oneof( id:string new_id:pure-token=$ )
    mkstream:pure-token=MKSTREAM? entries_read:integer=ENTRIESREAD?
xgroup|createconsumer  key:key@0 groupname:string consumername:string
xgroup|delconsumer  key:key@0 groupname:string consumername:string
xgroup|destroy  key:key@0 groupname:string
xgroup|setid
    key:key@0 groupname:string id:oneof( id:string new_id:pure-token=$ )
    entries_read:integer=ENTRIESREAD?
xinfo|consumers  key:key@0 groupname:string
xinfo|groups  key:key@0
xinfo|stream  key:key@0 full:block=FULL?( count:integer=COUNT? )
xlen  key:key@0
xpending
    key:key@0 group:string filters:block?( min-idle-time:integer=IDLE^6.2.0? start:string
    end:string count:integer consumer:string? )
xrange  key:key@0 start:string end:string count:integer=COUNT?
xread
    count:integer=COUNT? milliseconds:integer=BLOCK? streams:block=STREAMS( key:key@0*
    id:string* )
xreadgroup
    group_consumer:block=GROUP( group:string consumer:string ) count:integer=COUNT?
    milliseconds:integer=BLOCK? noack:pure-token=NOACK? streams:block=STREAMS( key:key@0*
    id:string* )
xrevrange  key:key@0 end:string start:string count:integer=COUNT?
xsetid
    key:key@0 last-id:string entries_added:integer=ENTRIESADDED^7.0.0?
    max_deleted_entry_id:string=MAXDELETEDID^7.0.0?
xtrim
    key:key@0 trim:block( strategy:oneof( maxlen:pure-token=MAXLEN minid:pure-token=MINID^6.2.0
    ) operator:oneof?( equal:pure-token== approximately:pure-token=~ ) threshold:string
    count:integer=LIMIT^6.2.0? )
"""
