-- Loading of function libraries: what their code sees while it registers functions (Redis 7.0
-- function_lua.c).
--
-- All libraries share one environment. While one is loaded it leads to little but
-- redis.register_function; while functions run, to what scripts see.
--
-- Arguments: `tools`, of sandbox.lua; `host`, Python functions. Returns a table of functions; what
-- `register` raises are texts.
local tools, host = ...
local raw, globals, missing = tools.raw, tools.globals, tools.missing
local raw_type, raw_error, raw_next, raw_select = raw.type, raw.error, raw.next, raw.select
local raw_pcall, raw_setfenv, lower = raw.pcall, raw.setfenv, raw.string.lower

local function refuse(text)
  raw_error("ERR " .. text, 0)
end

-- Return `value` as Lua's C functions take it for a string, or nil.
local function text_of(value)
  local kind = raw_type(value)
  if kind == "string" then return value end
  if kind == "number" then return raw.tostring(value) end
  return nil
end

-- A function of Python's is one to scripts; by way of Python it comes back as an object.
local function is_function(value)
  local kind = raw_type(value)
  return kind == "function" or kind == "userdata"
end

-- Return the flags in a table of them, with commas between.
local function read_flags(flags)
  local found = {}
  while true do
    local flag = flags[#found + 1]
    if flag == nil then return raw.table.concat(found, ",") end
    flag = text_of(flag)
    if not flag or not host.flags[lower(flag)] then refuse("unknown flag given") end
    found[#found + 1] = lower(flag)
  end
end

local function register_named(arguments)
  if raw_type(arguments) ~= "table" then
    refuse("calling redis.register_function with a single argument is only applicable to Lua table"
      .. " (representing named arguments).")
  end
  local name, description, callback
  local flags = ""
  for key, value in raw_next, arguments do
    key = text_of(key)
    if not key then
      refuse("named argument key given to redis.register_function is not a string")
    end
    key = lower(key)
    if key == "function_name" then
      name = text_of(value)
      if not name then
        refuse("function_name argument given to redis.register_function must be a string")
      end
    elseif key == "description" then
      description = text_of(value)
      if not description then
        refuse("description argument given to redis.register_function must be a string")
      end
    elseif key == "callback" then
      if not is_function(value) then
        refuse("callback argument given to redis.register_function must be a function")
      end
      callback = value
    elseif key == "flags" then
      if raw_type(value) ~= "table" then
        refuse("flags argument to redis.register_function must be a table representing function"
          .. " flags")
      end
      flags = read_flags(value)
    else
      refuse("unknown argument given to redis.register_function")
    end
  end
  if not name then refuse("redis.register_function must get a function name argument") end
  if not callback then refuse("redis.register_function must get a callback argument") end
  host.register(name, description, flags, callback)
end

local function register_positional(name, callback)
  name = text_of(name)
  if not name then refuse("first argument to redis.register_function must be a string") end
  if not is_function(callback) then
    refuse("second argument to redis.register_function must be a function")
  end
  host.register(name, nil, "", callback)
end

local function register_function(...)
  if not host.is_loading() then
    refuse("redis.register_function can only be called on FUNCTION LOAD command")
  end
  local count = raw_select("#", ...)
  if count == 1 then return register_named(...) end
  if count == 2 then return register_positional(...) end
  refuse("wrong number of arguments to redis.register_function")
end

local redis = {
  register_function = raw.python.as_function(host.register_function),
  log = tools.redis.log,
}
for name, value in raw.pairs(tools.redis) do
  if raw.string.find(name, "^LOG_") or raw.string.find(name, "^REDIS_VERSION") then
    redis[name] = value
  end
end
local complain = {__index = missing}
raw.setmetatable(redis, complain)
local while_loading = raw.setmetatable({
  redis = tools.protect(redis, tools.protect(complain)),
}, complain)

local environment, metatable = tools.new_environment(globals)

-- Run the code of a library. Returns nil, or "compile" or "run" and the error's text.
local function load(code)
  local f, err = raw.loadstring(code, "@user_function")
  if not f then return "compile", err end
  raw_setfenv(f, environment)
  metatable.__index = while_loading
  tools.watch()
  local ok
  ok, err = raw_pcall(f)
  tools.watch_no_more()
  metatable.__index = globals
  if ok then return nil end
  err = tools.translate(err)
  if raw_type(err) == "string" then return "run", "ERR " .. err end
  if raw_type(err) == "table" then return "run", err.err end
  return "crash", err
end

return {load = load, register = register_function}
