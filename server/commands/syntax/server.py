"""The arguments of commands on keys, connections, scripts and the server.

In the notation that this package's `__init__` explains.
"""

from __future__ import annotations

from typing import Final

SYNTAX: Final = """\
cluster|addslots  slot:integer*
cluster|addslotsrange  start-slot_end-slot:block*( start-slot:integer end-slot:integer )
cluster|count-failure-reports  node-id:string
cluster|countkeysinslot  slot:integer
cluster|delslots  slot:integer*
cluster|delslotsrange  start-slot_end-slot:block*( start-slot:integer end-slot:integer )
cluster|failover  options:oneof?( force:pure-token=FORCE takeover:pure-token=TAKEOVER )
cluster|forget  node-id:string
cluster|getkeysinslot  slot:integer count:integer
cluster|keyslot  key:string
cluster|meet  ip:string port:integer cluster_bus_port:integer^4.0.0?
cluster|replicas  node-id:string
cluster|replicate  node-id:string
cluster|reset  hard_soft:oneof?( hard:pure-token=HARD soft:pure-token=SOFT )
cluster|set-config-epoch  config-epoch:integer
cluster|setslot
    slot:integer subcommand:oneof( node-id:string=IMPORTING node-id:string=MIGRATING
    node-id:string=NODE stable:pure-token=STABLE )
cluster|slaves  node-id:string
auth  username:string^6.0.0? password:string
client|caching  mode:oneof( yes:pure-token=YES no:pure-token=NO )
client|kill
    filter:oneof( ip:port:string!2.8.12 new-format:oneof*( client-id:integer=ID^2.8.12?
    normal_master_slave_pubsub:oneof=TYPE^2.8.12?( normal:pure-token=NORMAL
    master:pure-token=MASTER^3.2.0 slave:pure-token=SLAVE replica:pure-token=REPLICA^5.0.0
    pubsub:pure-token=PUBSUB ) username:string=USER? ip:port:string=ADDR?
    ip:port:string=LADDR^6.2.0? yes/no:string=SKIPME? ) )
client|list
    normal_master_replica_pubsub:oneof=TYPE^5.0.0?( normal:pure-token=NORMAL
    master:pure-token=MASTER replica:pure-token=REPLICA pubsub:pure-token=PUBSUB )
    id:block=ID^6.2.0?( client-id:integer* )
client|no-evict  enabled:oneof( on:pure-token=ON off:pure-token=OFF )
client|no-touch  enabled:oneof( on:pure-token=ON off:pure-token=OFF )
client|pause  timeout:integer mode:oneof^6.2.0?( write:pure-token=WRITE all:pure-token=ALL )
client|reply  on_off_skip:oneof( on:pure-token=ON off:pure-token=OFF skip:pure-token=SKIP )
client|setinfo  attr:oneof( libname:string=LIB-NAME libver:string=LIB-VER )
client|setname  connection-name:string
client|tracking
    status:oneof( on:pure-token=ON off:pure-token=OFF ) client-id:integer=REDIRECT?
    prefix:string=PREFIX?*+ bcast:pure-token=BCAST? optin:pure-token=OPTIN?
    optout:pure-token=OPTOUT? noloop:pure-token=NOLOOP?
client|unblock
    client-id:integer timeout_error:oneof?( timeout:pure-token=TIMEOUT error:pure-token=ERROR )
echo  message:string
hello
    arguments:block?( protover:integer username_password:block=AUTH?( username:string
    password:string ) clientname:string=SETNAME? )
ping  message:string?
select  index:integer
copy  source:key@0 destination:key@1 destination-db:integer=DB? replace:pure-token=REPLACE?
del  key:key@0*
dump  key:key@0
exists  key:key@0*
expire
    key:key@0 seconds:integer condition:oneof^7.0.0?( nx:pure-token=NX xx:pure-token=XX
    gt:pure-token=GT lt:pure-token=LT )
expireat
    key:key@0 unix-time-seconds:unix-time condition:oneof^7.0.0?( nx:pure-token=NX
    xx:pure-token=XX gt:pure-token=GT lt:pure-token=LT )
expiretime  key:key@0
keys  pattern:pattern
migrate
    host:string port:integer key_or_empty_string:oneof( key:key@0 empty_string:pure-token= )
    destination-db:integer timeout:integer copy:pure-token=COPY^3.0.0?
    replace:pure-token=REPLACE^3.0.0? authentication:oneof?( password:string=AUTH^4.0.7?
    username_password:block=AUTH2^6.0.0?( username:string password:string ) )
    key:key@1=KEYS^3.0.6?*
move  key:key@0 db:integer
object|encoding  key:key@0
object|freq  key:key@0
object|idletime  key:key@0
object|refcount  key:key@0
persist  key:key@0
pexpire
    key:key@0 milliseconds:integer condition:oneof^7.0.0?( nx:pure-token=NX xx:pure-token=XX
    gt:pure-token=GT lt:pure-token=LT )
pexpireat
    key:key@0 unix-time-milliseconds:unix-time condition:oneof^7.0.0?( nx:pure-token=NX
    xx:pure-token=XX gt:pure-token=GT lt:pure-token=LT )
pexpiretime  key:key@0
pttl  key:key@0
rename  key:key@0 newkey:key@1
renamenx  key:key@0 newkey:key@1
restore
    key:key@0 ttl:integer serialized-value:string replace:pure-token=REPLACE^3.0.0?
    absttl:pure-token=ABSTTL^5.0.0? seconds:integer=IDLETIME^5.0.0?
    frequency:integer=FREQ^5.0.0?
scan  cursor:integer pattern:pattern=MATCH? count:integer=COUNT? type:string=TYPE^6.0.0?
sort
    key:key@0 pattern:pattern@1=BY? offset_count:block=LIMIT?( offset:integer count:integer )
    pattern:pattern@1=GET?*+ order:oneof?( asc:pure-token=ASC desc:pure-token=DESC )
    sorting:pure-token=ALPHA? destination:key@2=STORE?
sort_ro
    key:key@0 pattern:pattern@1=BY? offset_count:block=LIMIT?( offset:integer count:integer )
    pattern:pattern@1=GET?*+ order:oneof?( asc:pure-token=ASC desc:pure-token=DESC )
    sorting:pure-token=ALPHA?
touch  key:key@0*
ttl  key:key@0
type  key:key@0
unlink  key:key@0*
wait  numreplicas:integer timeout:integer
waitaof  numlocal:integer numreplicas:integer timeout:integer
psubscribe  pattern:block*( pattern:pattern )
publish  channel:string message:string
pubsub|channels  pattern:pattern?
pubsub|numsub  channel:string?*
pubsub|shardchannels  pattern:pattern?
pubsub|shardnumsub  shardchannel:string?*
punsubscribe  pattern:pattern?*
spublish  shardchannel:string message:string
ssubscribe  shardchannel:string*
subscribe  channel:string*
sunsubscribe  shardchannel:string?*
unsubscribe  channel:string?*
eval  script:string numkeys:integer key:key@0?* arg:string?*
eval_ro  script:string numkeys:integer key:key@0?* arg:string?*
evalsha  sha1:string numkeys:integer key:key@0?* arg:string?*
evalsha_ro  sha1:string numkeys:integer key:key@0?* arg:string?*
fcall  function:string numkeys:integer key:key@0?* arg:string?*
fcall_ro  function:string numkeys:integer key:key@0?* arg:string?*
function|delete  library-name:string
function|flush  async:oneof?( async:pure-token=ASYNC sync:pure-token=SYNC )
function|list  library-name-pattern:string=LIBRARYNAME? withcode:pure-token=WITHCODE?
function|load  replace:pure-token=REPLACE? function-code:string
function|restore
    serialized-value:string policy:oneof?( flush:pure-token=FLUSH append:pure-token=APPEND
    replace:pure-token=REPLACE )
script|debug  mode:oneof( yes:pure-token=YES sync:pure-token=SYNC no:pure-token=NO )
script|exists  sha1:string*
script|flush  async:oneof^6.2.0?( async:pure-token=ASYNC sync:pure-token=SYNC )
script|load  script:string
acl|cat  categoryname:string?
acl|deluser  username:string*
acl|dryrun  username:string command:string arg:string?*
acl|genpass  bits:integer?
acl|getuser  username:string
acl|log  operation:oneof?( count:integer reset:pure-token=RESET )
acl|setuser  username:string rule:string?*
bgsave  schedule:pure-token=SCHEDULE^3.2.2?
command|docs  command-name:string?*
command|info  command-name:string?*
command|list
    filterby:oneof=FILTERBY?( module-name:string=MODULE category:string=ACLCAT
    pattern:pattern=PATTERN )
config|get  parameter:block*( parameter:string )
config|set  parameter_value:block*( parameter:string value:string )
failover
    target:block=TO?( host:string port:integer force:pure-token=FORCE? ) abort:pure-token=ABORT?
    milliseconds:integer=TIMEOUT?
flushall  async:oneof?( async:pure-token=ASYNC^4.0.0 sync:pure-token=SYNC^6.2.0 )
flushdb  async:oneof?( async:pure-token=ASYNC^4.0.0 sync:pure-token=SYNC^6.2.0 )
info  section:string?*
latency|graph  event:string
latency|histogram  command:string?*
latency|history  event:string
latency|reset  event:string?*
lolwut  version:integer=VERSION?
memory|usage  key:key@0 count:integer=SAMPLES?
module|load  path:string arg:string?*
module|loadex
    path:string configs:block=CONFIG?*+( name:string value:string ) args:block=ARGS?*(
    arg:string )
module|unload  name:string
psync  replicationid:string offset:integer
replicaof
    args:oneof( host-port:block( host:string port:integer ) no-one:block( no:pure-token=NO
    one:pure-token=ONE ) )
restore-asking
    key:key@0 ttl:integer serialized-value:string replace:pure-token=REPLACE^3.0.0?
    absttl:pure-token=ABSTTL^5.0.0? seconds:integer=IDLETIME^5.0.0?
    frequency:integer=FREQ^5.0.0?
shutdown
    nosave_save:oneof?( nosave:pure-token=NOSAVE save:pure-token=SAVE )
    now:pure-token=NOW^7.0.0? force:pure-token=FORCE^7.0.0? abort:pure-token=ABORT^7.0.0?
slaveof
    args:oneof( host-port:block( host:string port:integer ) no-one:block( no:pure-token=NO
    one:pure-token=ONE ) )
slowlog|get  count:integer?
swapdb  index1:integer index2:integer
watch  key:key@0*
"""
