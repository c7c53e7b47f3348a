"""The arguments of commands on strings, lists, hashes, sets, bitmaps, HyperLogLogs and positions.

In the notation that this package's `__init__` explains.
"""

from __future__ import annotations

from typing import Final

SYNTAX: Final = """\
append  key:key@0 value:string
decr  key:key@0
decrby  key:key@0 decrement:integer
get  key:key@0
getdel  key:key@0
getex
    key:key@0 expiration:oneof?( seconds:integer=EX milliseconds:integer=PX
    unix-time-seconds:unix-time=EXAT unix-time-milliseconds:unix-time=PXAT
    persist:pure-token=PERSIST )
getrange  key:key@0 start:integer end:integer
getset  key:key@0 value:string
incr  key:key@0
incrby  key:key@0 increment:integer
incrbyfloat  key:key@0 increment:double
lcs
    key1:key@0 key2:key@0 len:pure-token=LEN? idx:pure-token=IDX? len:integer=MINMATCHLEN?
    withmatchlen:pure-token=WITHMATCHLEN?
mget  key:key@0*
mset  key_value:block*( key:key@0 value:string )
msetnx  key_value:block*( key:key@0 value:string )
psetex  key:key@0 milliseconds:integer value:string
set
    key:key@0 value:string condition:oneof^2.6.12?( nx:pure-token=NX xx:pure-token=XX )
    get:pure-token=GET^6.2.0? expiration:oneof?( seconds:integer=EX^2.6.12
    milliseconds:integer=PX^2.6.12 unix-time-seconds:unix-time=EXAT^6.2.0
    unix-time-milliseconds:unix-time=PXAT^6.2.0 keepttl:pure-token=KEEPTTL^6.0.0 )
setex  key:key@0 seconds:integer value:string
setnx  key:key@0 value:string
setrange  key:key@0 offset:integer value:string
strlen  key:key@0
substr  key:key@0 start:integer end:integer
blmove
    source:key@0 destination:key@1 wherefrom:oneof( left:pure-token=LEFT right:pure-token=RIGHT
    ) whereto:oneof( left:pure-token=LEFT right:pure-token=RIGHT ) timeout:double
blmpop
    timeout:double numkeys:integer key:key@0* where:oneof( left:pure-token=LEFT
    right:pure-token=RIGHT ) count:integer=COUNT?
blpop  key:key@0* timeout:double
brpop  key:key@0* timeout:double
brpoplpush  source:key@0 destination:key@1 timeout:double
lindex  key:key@0 index:integer
linsert
    key:key@0 where:oneof( before:pure-token=BEFORE after:pure-token=AFTER ) pivot:string
    element:string
llen  key:key@0
lmove
    source:key@0 destination:key@1 wherefrom:oneof( left:pure-token=LEFT right:pure-token=RIGHT
    ) whereto:oneof( left:pure-token=LEFT right:pure-token=RIGHT )
lmpop
    numkeys:integer key:key@0* where:oneof( left:pure-token=LEFT right:pure-token=RIGHT )
    count:integer=COUNT?
lpop  key:key@0 count:integer^6.2.0?
lpos  key:key@0 element:string rank:integer=RANK? num-matches:integer=COUNT? len:integer=MAXLEN?
lpush  key:key@0 element:string*
lpushx  key:key@0 element:string*
lrange  key:key@0 start:integer stop:integer
lrem  key:key@0 count:integer element:string
lset  key:key@0 index:integer element:string
ltrim  key:key@0 start:integer stop:integer
rpop  key:key@0 count:integer^6.2.0?
rpoplpush  source:key@0 destination:key@1
rpush  key:key@0 element:string*
rpushx  key:key@0 element:string*
hdel  key:key@0 field:string*
hexists  key:key@0 field:string
hget  key:key@0 field:string
hgetall  key:key@0
hincrby  key:key@0 field:string increment:integer
hincrbyfloat  key:key@0 field:string increment:double
hkeys  key:key@0
hlen  key:key@0
hmget  key:key@0 field:string*
hmset  key:key@0 field_value:block*( field:string value:string )
hrandfield  key:key@0 options:block?( count:integer withvalues:pure-token=WITHVALUES? )
hscan  key:key@0 cursor:integer pattern:pattern=MATCH? count:integer=COUNT?
hset  key:key@0 field_value:block*( field:string value:string )
hsetnx  key:key@0 field:string value:string
hstrlen  key:key@0 field:string
hvals  key:key@0
sadd  key:key@0 member:string*
scard  key:key@0
sdiff  key:key@0*
sdiffstore  destination:key@0 key:key@1*
sinter  key:key@0*
sintercard  numkeys:integer key:key@0* limit:integer=LIMIT?
sinterstore  destination:key@0 key:key@1*
sismember  key:key@0 member:string
smembers  key:key@0
smismember  key:key@0 member:string*
smove  source:key@0 destination:key@1 member:string
spop  key:key@0 count:integer^3.2.0?
srandmember  key:key@0 count:integer^2.6.0?
srem  key:key@0 member:string*
sscan  key:key@0 cursor:integer pattern:pattern=MATCH? count:integer=COUNT?
sunion  key:key@0*
sunionstore  destination:key@0 key:key@1*
bitcount
    key:key@0 index:block?( start:integer end:integer index_unit:oneof^7.0.0?(
    byte:pure-token=BYTE bit:pure-token=BIT ) )
bitfield
    key:key@0 operation:oneof?*( encoding_offset:block=GET( encoding:string offset:integer )
    write:block( wrap_sat_fail:oneof=OVERFLOW?( wrap:pure-token=WRAP sat:pure-token=SAT
    fail:pure-token=FAIL ) write_operation:oneof( encoding_offset_value:block=SET(
    encoding:string offset:integer value:integer ) encoding_offset_increment:block=INCRBY(
    encoding:string offset:integer increment:integer ) ) ) )
bitfield_ro  key:key@0 encoding_offset:block=GET?*+( encoding:string offset:integer )
bitop  operation:string destkey:key@0 key:key@1*
bitpos
    key:key@0 bit:integer index:block?( start:integer end_index:block?( end:integer
    index_unit:oneof^7.0.0?( byte:pure-token=BYTE bit:pure-token=BIT ) ) )
getbit  key:key@0 offset:integer
setbit  key:key@0 offset:integer value:integer
pfadd  key:key@0 element:string?*
pfcount  key:key@0*
pfdebug  subcommand:string key:key@0
pfmerge  destkey:key@0 sourcekey:key@1*
geoadd
    key:key@0 condition:oneof^6.2.0?( nx:pure-token=NX xx:pure-token=XX )
    change:pure-token=CH^6.2.0? longitude_latitude_member:block*( longitude:double
    latitude:double member:string )
geodist
    key:key@0 member1:string member2:string unit:oneof?( m:pure-token=M km:pure-token=KM
    ft:pure-token=FT mi:pure-token=MI )
geohash  key:key@0 member:string*
geopos  key:key@0 member:string*
georadius
    key:key@0 longitude:double latitude:double radius:double unit:oneof( m:pure-token=M
    km:pure-token=KM ft:pure-token=FT mi:pure-token=MI ) withcoord:pure-token=WITHCOORD?
    withdist:pure-token=WITHDIST? withhash:pure-token=WITHHASH? count:block?(
    count:integer=COUNT any:pure-token=ANY^6.2.0? ) order:oneof?( asc:pure-token=ASC
    desc:pure-token=DESC ) key:key@1=STORE? key:key@2=STOREDIST?
georadius_ro
    key:key@0 longitude:double latitude:double radius:double unit:oneof( m:pure-token=M
    km:pure-token=KM ft:pure-token=FT mi:pure-token=MI ) withcoord:pure-token=WITHCOORD?
    withdist:pure-token=WITHDIST? withhash:pure-token=WITHHASH? count:block?(
    count:integer=COUNT any:pure-token=ANY^6.2.0? ) order:oneof?( asc:pure-token=ASC
    desc:pure-token=DESC )
georadiusbymember
    key:key@0 member:string radius:double unit:oneof( m:pure-token=M km:pure-token=KM
    ft:pure-token=FT mi:pure-token=MI ) withcoord:pure-token=WITHCOORD?
    withdist:pure-token=WITHDIST? withhash:pure-token=WITHHASH? count:block?(
    count:integer=COUNT any:pure-token=ANY? ) order:oneof?( asc:pure-token=ASC
    desc:pure-token=DESC ) key:key@1=STORE? key:key@2=STOREDIST?
georadiusbymember_ro
    key:key@0 member:string radius:double unit:oneof( m:pure-token=M km:pure-token=KM
    ft:pure-token=FT mi:pure-token=MI ) withcoord:pure-token=WITHCOORD?
    withdist:pure-token=WITHDIST? withhash:pure-token=WITHHASH? count:block?(
    count:integer=COUNT any:pure-token=ANY? ) order:oneof?( asc:pure-token=ASC
    desc:pure-token=DESC )
geosearch
    key:key@0 from:oneof( member:string=FROMMEMBER longitude_latitude:block=FROMLONLAT(
    longitude:double latitude:double ) ) by:oneof( circle:block( radius:double=BYRADIUS
    unit:oneof( m:pure-token=M km:pure-token=KM ft:pure-token=FT mi:pure-token=MI ) ) box:block(
    width:double=BYBOX height:double unit:oneof( m:pure-token=M km:pure-token=KM
    ft:pure-token=FT mi:pure-token=MI ) ) ) order:oneof?( asc:pure-token=ASC
    desc:pure-token=DESC ) count:block?( count:integer=COUNT any:pure-token=ANY? )
    withcoord:pure-token=WITHCOORD? withdist:pure-token=WITHDIST? withhash:pure-token=WITHHASH?
geosearchstore
    destination:key@0 source:key@1 from:oneof( member:string=FROMMEMBER
    longitude_latitude:block=FROMLONLAT( longitude:double latitude:double ) ) by:oneof(
    circle:block( radius:double=BYRADIUS unit:oneof( m:pure-token=M km:pure-token=KM
    ft:pure-token=FT mi:pure-token=MI ) ) box:block( width:double=BYBOX height:double
    unit:oneof( m:pure-token=M km:pure-token=KM ft:pure-token=FT mi:pure-token=MI ) ) )
    order:oneof?( asc:pure-token=ASC desc:pure-token=DESC ) count:block?( count:integer=COUNT
    any:pure-token=ANY? ) storedist:pure-token=STOREDIST?
"""
