-- What the libraries of scripts that are written in Lua share: arguments checked and errors told as
-- by libraries in C.
--
-- A script calls such a function by way of Python (`entries`), whose C function stays on the stack
-- also where the script's `return` calls it: so errors can point to the line that called.
--
-- Arguments: `tools`, of sandbox.lua; `host`, Python functions. Returns a table of functions.
local tools, host = ...
local raw, getinfo = tools.raw, tools.getinfo
local type_of, select, tonumber, floor = raw.type, raw.select, raw.tonumber, raw.math.floor
local raw_error = raw.error

local made = {raw = raw, whole_of = tools.whole_of, null = tools.null}

-- How many values a C function may have on Lua's stack.
made.STACK_LIMIT = 8000

-- Return what Lua knows of the running library function, and of who called it.
local function whereabouts()
  local thread = tools.running_thread()
  if thread then return getinfo(thread, 0, "n"), getinfo(thread, 1, "Sl") end
  local level = 2
  while getinfo(level, "S").what ~= "C" do level = level + 1 end
  return getinfo(level, "n"), getinfo(level + 1, "Sl")
end

-- Raise `text` as a C library does.
function made.fail(text)
  local _, caller = whereabouts()
  if caller and caller.currentline > 0 then
    text = caller.short_src .. ":" .. caller.currentline .. ": " .. text
  end
  raw_error(text, 0)
end

-- Raise that the argument `index`, from 1 on, is not as it should be.
function made.fail_argument(index, text)
  local called = whereabouts()
  local name = called.name or "?"
  if called.namewhat == "method" then
    index = index - 1
    if index == 0 then made.fail("calling '" .. name .. "' on bad self (" .. text .. ")") end
  end
  made.fail("bad argument #" .. index .. " to '" .. name .. "' (" .. text .. ")")
end

local function fail_type(index, wanted, ...)
  local got = select("#", ...) == 0 and "no value" or type_of((...))
  made.fail_argument(index, wanted .. " expected, got " .. got)
end

-- Each takes the index of an argument and, unless it is missing, the argument.

function made.check_string(index, ...)
  local value = ...
  local kind = type_of(value)
  if kind == "string" then return value end
  if kind ~= "number" then fail_type(index, "string", ...) end
  return raw.tostring(value)
end

function made.check_number(index, ...)
  local value = ...
  if type_of(value) == "number" then return value end
  local number = type_of(value) == "string" and tonumber(value)
  if not number then fail_type(index, "number", ...) end
  return number
end

-- A fraction is cut off; what no 64 bits hold becomes the least number of these.
function made.check_integer(index, ...)
  local number = made.check_number(index, ...)
  if not (number > -2 ^ 63 and number < 2 ^ 63) then return -2 ^ 63 end
  return number < 0 and -floor(-number) or floor(number)
end

-- Return the functions as scripts are to see them.
function made.entries(functions)
  local found = {}
  for name, f in raw.pairs(functions) do found[name] = raw.python.as_function(host.entry(f)) end
  return found
end

-- To be returned by functions that return no value at all, not even nil.
made.nothing = host.nothing

made.pack_float = host.pack_float
made.unpack_float = host.unpack_float
made.pack_number = host.pack_number

return made
