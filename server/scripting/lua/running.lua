-- Running scripts, and encoding what they return (Redis 7.0 script_lua.c: luaCallFunction,
-- luaReplyToRedisReply).
--
-- Arguments: `tools`, of sandbox.lua; `host`, Python functions. Returns a table of functions.
local tools, host = ...
local raw, globals, real_of = tools.raw, tools.globals, tools.real_of
local raw_type, raw_next, raw_rawget, raw_select = raw.type, raw.next, raw.rawget, raw.select
local raw_xpcall, raw_tostring, collectgarbage = raw.xpcall, raw.tostring, raw.collectgarbage
local concat, gsub, match = raw.table.concat, raw.string.gsub, raw.string.match
local watch, watch_no_more, handler = tools.watch, tools.watch_no_more, tools.handler

local api = {}

-- Replies ------------------------------------------------------------------------------------

local format, sub = raw.string.format, raw.string.sub
local STACK_LIMIT = 7990

local function one_line(text)
  return (gsub(text, "[\r\n]", " "))
end

local function up_to_zero(text)
  return match(text, "^%Z*")
end

-- Append `value` as a reply to `out` for a client of the protocol `client`.
local encode

local function add_bulk(out, text)
  out[#out + 1] = "$" .. #text .. "\r\n" .. text .. "\r\n"
end

local function encode_special(value, out, client, depth)
  local err = raw_rawget(value, "err")
  if raw_type(err) == "string" then
    err = up_to_zero(err)
    host.note_error(err, raw_rawget(value, "ignore_error_stats_update") == true)
    out[#out + 1] = "-" .. one_line((gsub(err, "[\r\n]+$", ""))) .. "\r\n"
    return true
  end
  local ok = raw_rawget(value, "ok")
  if raw_type(ok) == "string" then
    out[#out + 1] = "+" .. one_line(up_to_zero(ok)) .. "\r\n"
    return true
  end
  local double = raw_rawget(value, "double")
  if raw_type(double) == "number" then
    local text = format("%.17g", double)
    if client == 3 then out[#out + 1] = "," .. text .. "\r\n" else add_bulk(out, text) end
    return true
  end
  local big = raw_rawget(value, "big_number")
  if raw_type(big) == "string" then
    big = one_line(big)
    if client == 3 then out[#out + 1] = "(" .. big .. "\r\n" else add_bulk(out, big) end
    return true
  end
  local verbatim = raw_rawget(value, "verbatim_string")
  if raw_type(verbatim) == "table" then
    local kind, text = raw_rawget(verbatim, "format"), raw_rawget(verbatim, "string")
    if raw_type(kind) == "string" and raw_type(text) == "string" then
      if client == 3 then
        out[#out + 1] = "=" .. (#text + 4) .. "\r\n" .. sub(kind .. "   ", 1, 3) .. ":" .. text .. "\r\n"
      else
        add_bulk(out, text)
      end
      return true
    end
  end
  local map = raw_rawget(value, "map")
  if raw_type(map) == "table" then
    local at, count = #out + 1, 0
    out[at] = ""
    for key, item in raw_next, map do
      encode(key, out, client, depth + 3)
      encode(item, out, client, depth + 3)
      count = count + 1
    end
    out[at] = (client == 3 and "%" .. count or "*" .. 2 * count) .. "\r\n"
    return true
  end
  local set = raw_rawget(value, "set")
  if raw_type(set) == "table" then
    local at, count = #out + 1, 0
    out[at] = ""
    for key in raw_next, set do
      encode(key, out, client, depth + 3)
      count = count + 1
    end
    out[at] = (client == 3 and "~" or "*") .. count .. "\r\n"
    return true
  end
  return false
end

function encode(value, out, client, depth)
  local kind = raw_type(value)
  if depth > STACK_LIMIT then
    host.note_error("ERR reached lua stack limit", false)
    out[#out + 1] = "-ERR reached lua stack limit\r\n"
  elseif kind == "string" then
    add_bulk(out, value)
  elseif kind == "number" then
    out[#out + 1] = ":" .. format("%d", value) .. "\r\n"
  elseif kind == "boolean" and host.protocol() == 3 then
    if client == 3 then
      out[#out + 1] = value and "#t\r\n" or "#f\r\n"
    else
      out[#out + 1] = value and ":1\r\n" or ":0\r\n"
    end
  elseif kind == "boolean" and value then
    out[#out + 1] = ":1\r\n"
  elseif kind ~= "table" then
    out[#out + 1] = client == 3 and "_\r\n" or "$-1\r\n"
  else
    value = real_of[value] or value
    if encode_special(value, out, client, depth) then return end
    local at, count = #out + 1, 0
    out[at] = ""
    while true do
      local item = raw_rawget(value, count + 1)
      if item == nil then break end
      count = count + 1
      encode(item, out, client, depth + 1)
    end
    out[at] = "*" .. count .. "\r\n"
  end
end

-- Running ------------------------------------------------------------------------------------

-- As Redis does, a bit of the garbage is collected after so many runs, rather than much of it now
-- and then.
local STEP_PERIOD = 50
local runs_since_step = 0

-- Return what a run that failed with `err` is to be told as.
local function failure(err)
  if raw_type(err) == "userdata" then return "crash", err end
  if raw_type(err) ~= "table" then return "text", raw_tostring(err) end
  return "error", raw_rawget(err, "err"), raw_rawget(err, "ignore_error_stats_update"),
    raw_rawget(err, "source"), raw_rawget(err, "line")
end

-- Run `f`, without arguments, for a client of protocol `client`. Returns the encoded reply; or
-- "error", the text, whether it is counted already, the source and the line; "text" and a message
-- that is no table; or "crash" and the Python exception.
local function run(f, client)
  watch()
  local ok, value = raw_xpcall(f, handler)
  watch_no_more()
  runs_since_step = runs_since_step + 1
  if runs_since_step == STEP_PERIOD then
    runs_since_step = 0
    collectgarbage("step", STEP_PERIOD)
  end
  if not ok then return failure(value) end
  local kind = raw_type(value)
  -- The two that are most usual, with no detour.
  if kind == "string" then return "$" .. #value .. "\r\n" .. value .. "\r\n" end
  if kind == "number" then return ":" .. format("%d", value) .. "\r\n" end
  if kind == "table" and raw_type(raw_rawget(value, "err")) == "string" then
    return "error", raw_rawget(value, "err"), raw_rawget(value, "ignore_error_stats_update")
  end
  local out = {}
  encode(value, out, client, 0)
  return concat(out)
end

-- Return keys and arguments as tables. They come so, or all in a row behind the count of keys.
local function split(key_count, ...)
  if raw_type(key_count) == "table" then return key_count, (...) end
  if key_count == 0 then return {}, {...} end
  local all = {...}
  local keys = {}
  for i = 1, key_count do keys[i] = all[i] end
  return keys, {raw_select(key_count + 1, ...)}
end

function api.run_script(f, client, ...)
  globals.KEYS, globals.ARGV = split(...)
  return run(f, client)
end

function api.run_function(f, client, ...)
  local keys, arguments = split(...)
  return run(function() return (f(keys, arguments)) end, client)
end

-- What the making of the sandbox left behind would else stay until scripts have made as much again.
collectgarbage()

return api
