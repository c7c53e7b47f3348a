-- The world a script sees: what Redis 7.0 (script_lua.c) leaves of Lua 5.1, and nothing that can
-- be changed for the next script.
--
-- Stock Lua has no read-only tables, so scripts are given empty stand-ins: `real_of[stand_in]` is
-- the table behind, and whatever reads or writes a table without asking its metatable is wrapped.
-- This chunk is called "=[C]", so that no error points into it.
--
-- Arguments: `host`, the Python functions of `interpreter.py`. Returns a table of functions.
local host = ...
local as_function = python.as_function
local raw = {}
for name, value in pairs(_G) do raw[name] = value end
local getinfo, sethook = debug.getinfo, debug.sethook
local raw_error, raw_type, raw_next, raw_pcall, raw_xpcall = error, type, next, pcall, xpcall
local raw_getmetatable, raw_setmetatable, raw_rawget = getmetatable, setmetatable, rawget
local raw_rawset, raw_tostring, raw_select, raw_setfenv = rawset, tostring, select, setfenv
local raw_loadstring = loadstring
local create, resume, wrap = coroutine.create, coroutine.resume, coroutine.wrap
local yield, status, running = coroutine.yield, coroutine.status, coroutine.running
local collectgarbage = collectgarbage
local concat, gsub, match = table.concat, string.gsub, string.match

local READ_ONLY = "Attempt to modify a readonly table"
local HOOK_PERIOD = 100000

local real_of = raw_setmetatable({}, {__mode = "k"})
local metatable_of = raw_setmetatable({}, {__mode = "k"})

local function refuse_change()
  raw_error(READ_ONLY, 2)
end

-- Return an empty table that leads to `real` and cannot be changed, and its metatable.
local function new_environment(real)
  local metatable = {__index = real, __newindex = refuse_change}
  return raw_setmetatable({}, metatable), metatable
end

-- Return a stand-in for `real` that cannot be changed; `metatable`: what getmetatable says of it.
local function protect(real, metatable)
  local stand_in = new_environment(real)
  real_of[stand_in] = real
  metatable_of[stand_in] = metatable
  return stand_in
end

-- Errors: Python functions raise objects, scripts are to see tables. Returns what a script may see
-- of `err`, and whether it is a fault of ours, which no script may catch.
local function translate(err)
  if raw_type(err) ~= "userdata" then return err, false end
  local kind, text, is_counted = host.describe(err)
  if kind == "text" then return text, false end
  if kind == "error" then
    local found = {err = text}
    if is_counted then found.ignore_error_stats_update = true end
    return found, false
  end
  return err, kind == "crash"
end

local function handler(err)
  local found, is_crash = translate(err)
  if is_crash then return found end
  local level = 2
  local info = getinfo(level, "Sl")
  while info and (info.source == "=[C]" or info.what == "tail") do
    level = level + 1
    info = getinfo(level, "Sl")
  end
  if raw_type(found) ~= "table" then
    found = {err = "ERR " .. raw_tostring(found)}
  end
  if info then
    found.source = info.source
    found.line = info.currentline
  end
  return found
end

local function hook()
  if host.interrupt() then
    -- At every line from now on, lest the script catch the error and go on.
    sethook(hook, "l", 0)
    -- Not out of the sandbox's own code, which has to come to its end.
    if getinfo(2, "S").source == "=[C]" then return end
    raw_error({err = host.interruption()}, 0)
  end
end

-- What is called at every line while a script is debugged; it does the other hook's work as well.
local debug_hook

local function watch()
  if debug_hook then
    sethook(debug_hook, "l")
  else
    sethook(hook, "", HOOK_PERIOD)
  end
end

local function set_debug_hook(f)
  debug_hook = f
end

local function watch_no_more()
  sethook()
end

local globals = {}
local environment

local function finish_pcall(ok, ...)
  if ok then return ok, ... end
  local err, is_crash = translate((...))
  if is_crash then raw_error(err, 0) end
  return false, err
end

-- As Redis' pcall: of an error that is a table with `err` there remains the text.
local function text_of_error(ok, ...)
  local err = ...
  if not ok and raw_type(err) == "table" and raw_type(raw_rawget(err, "err")) == "string" then
    return false, raw_rawget(err, "err")
  end
  return ok, ...
end

function globals.pcall(f, ...)
  return text_of_error(finish_pcall(raw_pcall(f, ...)))
end

function globals.xpcall(f, own_handler)
  return finish_pcall(raw_xpcall(f, function(err)
    local found, is_crash = translate(err)
    if is_crash then return err end
    return own_handler(found)
  end))
end

local coroutines = {}
for name, f in raw.pairs(raw.coroutine) do coroutines[name] = f end

-- The coroutine that was entered last, and which ran when one was entered.
local last_thread
local outer_threads = raw_setmetatable({}, {__mode = "k"})

-- Return the coroutine that runs, from outside of any; nil: none does.
local function running_thread()
  while last_thread and status(last_thread) ~= "normal" do
    local ended = last_thread
    last_thread = outer_threads[ended]
    outer_threads[ended] = nil
  end
  return last_thread
end

local function note_entry(...)
  local thread = running()
  outer_threads[thread] = running_thread()
  last_thread = thread
  return ...
end

local function begun(f)
  if raw_type(f) ~= "function" or getinfo(f, "S").what == "C" then return f end
  return function(...)
    note_entry()
    watch()
    return f(...)
  end
end

function coroutines.create(f)
  local ok, thread = raw_pcall(create, begun(f))
  if not ok then raw_error((gsub(thread, "'%?'", "'create'")), 2) end
  return thread
end

function coroutines.wrap(f)
  local ok, resumed = raw_pcall(wrap, begun(f))
  if not ok then raw_error((gsub(resumed, "'%?'", "'wrap'")), 2) end
  return resumed
end

function coroutines.yield(...)
  return note_entry(yield(...))
end

function coroutines.resume(...)
  return finish_pcall(resume(...))
end

local make_library, unmade

-- Return the table behind a stand-in, with all that it can have in it; nil: `t` is none.
local function whole_of(t)
  local real = real_of[t]
  if real == globals then
    for name in raw_next, unmade do make_library(name) end
  end
  return real
end

function globals.next(t, key)
  return raw_next(whole_of(t) or t, key)
end

function globals.pairs(t)
  if raw_type(t) ~= "table" then
    raw_error("bad argument #1 to 'pairs' (table expected, got " .. raw_type(t) .. ")", 2)
  end
  local real = whole_of(t)
  if real then
    return function(_, key) return raw_next(real, key) end, t, nil
  end
  return raw_next, t, nil
end

function globals.rawget(t, key)
  return raw_rawget(whole_of(t) or t, key)
end

function globals.rawset(t, key, value)
  if real_of[t] then raw_error(READ_ONLY, 0) end
  return raw_rawset(t, key, value)
end

-- The null of cjson, which is a pointer to nothing in Redis.
local null = raw.newproxy(true)
raw_getmetatable(null).__tostring = function() return "userdata: (nil)" end

local string_metatable
function globals.getmetatable(value)
  if raw.rawequal(value, null) then return nil end
  if raw_type(value) == "string" then return string_metatable end
  if value ~= nil and real_of[value] then return metatable_of[value] end
  return raw_getmetatable(value)
end

function globals.setmetatable(t, metatable)
  if t ~= nil and real_of[t] then raw_error(READ_ONLY, 0) end
  if real_of[metatable] then metatable = real_of[metatable] end
  local ok, result = raw_pcall(raw_setmetatable, t, metatable)
  if not ok then raw_error((gsub(result, "'%?'", "'setmetatable'")), 2) end
  return result
end

function globals.loadstring(text, name)
  if raw_type(text) == "string" and text:byte(1) == 27 then
    return nil, "attempt to load precompiled code"
  end
  local f, err = raw_loadstring(text, name)
  if f then raw_setfenv(f, environment) end
  return f, err
end

-- The pieces are put together first, so that compiled code is seen for what it is.
function globals.load(reader, name)
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == "" then break end
    if raw_type(piece) ~= "string" then return nil, "reader function must return a string" end
    pieces[#pieces + 1] = piece
  end
  return globals.loadstring(concat(pieces), name or "=(load)")
end

for _, name in raw.ipairs{
  "tostring", "assert", "tonumber", "rawequal", "collectgarbage", "type", "select", "unpack",
  "gcinfo", "ipairs", "_VERSION", "error",
} do
  globals[name] = raw[name]
end

local function copy(library)
  local copied = {}
  for name, f in raw.pairs(library) do copied[name] = f end
  return copied
end

-- The functions of `table` that change their argument.
local tables = copy(raw.table)
local function finish_change(name, ok, ...)
  if ok then return ... end
  local err = ...
  if raw_type(err) == "string" then err = gsub(err, "'%?'", "'" .. name .. "'") end
  raw_error(err, raw_type(err) == "string" and not match(err, "^[^:]*:%d+:") and 3 or 0)
end
for _, name in raw.ipairs{"insert", "remove", "sort", "setn", "foreach", "foreachi"} do
  local change = raw.table[name]
  tables[name] = function(t, ...)
    if t ~= nil and real_of[t] then raw_error(READ_ONLY, 0) end
    return finish_change(name, raw_pcall(change, t, ...))
  end
end

local maths = copy(raw.math)
local strings = copy(raw.string)

local redis = {}
for name, value in raw.pairs(host.constants) do redis[name] = value end
for name, f in raw.pairs(host.redis) do redis[name] = as_function(f) end

-- Return a number as C makes an int of it.
local function as_int(number)
  number = raw.tonumber(number)
  if not (number >= -2 ^ 63 and number < 2 ^ 63) then return 0 end
  number = number < 0 and -raw.math.floor(-number) or raw.math.floor(number)
  number = number % 4294967296
  return number < 2147483648 and number or number - 4294967296
end

-- As Lua's own, with a generator that repeats itself if it is told to.
function maths.random(...)
  if not host.is_running() then
    raw_error("math.random can only be called inside a script invocation", 2)
  end
  local low, high = ...
  local count = raw_select("#", ...)
  if count == 0 then return host.random() end
  if count > 2 then raw_error("wrong number of arguments", 2) end
  for i = 1, count do
    if not raw.tonumber((raw_select(i, ...))) then
      raw_error("bad argument #" .. i .. " to 'random' (number expected, got "
        .. raw_type((raw_select(i, ...))) .. ")", 2)
    end
  end
  if count == 1 then low, high = 1, low end
  low, high = as_int(low), as_int(high)
  if low > high then
    raw_error("bad argument #" .. count .. " to 'random' (interval is empty)", 2)
  end
  return raw.math.floor(host.random() * (high - low + 1)) + low
end

function maths.randomseed(seed)
  if not host.is_running() then
    raw_error("math.randomseed can only be called inside a script invocation", 2)
  end
  if not raw.tonumber(seed) then
    raw_error("bad argument #1 to 'randomseed' (number expected, got "
      .. (seed == nil and "no value" or raw_type(seed)) .. ")", 2)
  end
  host.seed_random(as_int(seed))
end

-- What Lua calls itself by a metatable must be as safe as what scripts name.
raw_getmetatable("").__index = strings

globals.string = protect(strings)
globals.table = protect(tables)
globals.math = protect(maths)
globals.coroutine = protect(coroutines)
globals.redis = protect(redis)
string_metatable = protect({__index = globals.string})

-- Libraries that are made when a script first names them: most do without, and they are large.
unmade = {}

function make_library(name)
  local make = unmade[name]
  unmade[name] = nil
  local made = protect(make())
  globals[name] = made
  return made
end

local function missing(t, name)
  if t == globals and unmade[name] then return make_library(name) end
  if raw_type(name) ~= "string" and raw_type(name) ~= "number" then
    raw_error("Second argument to luaProtectedTableError must be a string or number", 2)
  end
  raw_error("Script attempted to access nonexistent global variable '" .. name .. "'", 2)
end

raw_setmetatable(globals, {__index = missing})
environment = protect(globals, protect({__index = missing}))
globals._G = environment
for name in raw.pairs(raw) do raw._G[name] = nil end

local api = {}

-- Return the compiled function, or nil and the error.
function api.compile(code, name)
  return globals.loadstring(code, name)
end

function api.memory_bytes()
  return collectgarbage("count") * 1024
end

-- Add the library `name`, which `make` returns when it is needed.
function api.add_library(name, make)
  unmade[name] = make
end

-- What the other chunks of the sandbox are built of.
api.tools = {
  raw = raw,
  getinfo = getinfo,
  real_of = real_of,
  whole_of = whole_of,
  globals = globals,
  redis = redis,
  protect = protect,
  new_environment = new_environment,
  missing = missing,
  null = null,
  running_thread = running_thread,
  translate = translate,
  handler = handler,
  watch = watch,
  watch_no_more = watch_no_more,
  set_debug_hook = set_debug_hook,
}

return api
