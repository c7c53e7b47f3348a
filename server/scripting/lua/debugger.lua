-- The debugger's eyes: what it asks at every line of a script, and what it sees there (Redis 7.0
-- eval.c: luaLdbLineHook, ldbPrint, ldbTrace, ldbEval).
--
-- Arguments: `tools`, of sandbox.lua; `host`, Python functions. Returns a table of functions.
local tools, host = ...
local raw = tools.raw
local raw_type, raw_next, raw_error, raw_pcall = raw.type, raw.next, raw.error, raw.pcall
local raw_tostring, raw_rawget, raw_rawequal = raw.tostring, raw.rawget, raw.rawequal
local getinfo, getlocal = tools.getinfo, raw.debug.getlocal
local concat, find, format, gsub = raw.table.concat, raw.string.find, raw.string.format, raw.string.gsub
local byte = raw.string.byte

-- From a function called by the hook, the function that runs is so many levels away.
local RUNNING = 3
local DEPTH_MAX = 10
local SPELLINGS = {
  ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
  ["\a"] = "\\a", ["\b"] = "\\b",
}

local function spell(character)
  return SPELLINGS[character] or format("\\x%02x", byte(character))
end

local describe

local function describe_table(value, depth)
  local as_list, as_map, is_list, expected = {}, {}, true, 1
  for key, item in raw_next, tools.whole_of(value) or value do
    is_list = is_list and raw_rawequal(key, expected)
    expected = expected + 1
    local text = describe(item, depth)
    as_list[#as_list + 1] = text
    as_map[#as_map + 1] = "[" .. describe(key, depth) .. "]=" .. text
  end
  return "{" .. concat(is_list and as_list or as_map, "; ") .. "}"
end

function describe(value, depth)
  if depth == DEPTH_MAX then return "<max recursion level reached! Nested table?>" end
  local kind = raw_type(value)
  if kind == "string" then return '"' .. gsub(value, '[%c"\\\128-\255]', spell) .. '"' end
  if kind == "number" then return format("%g", value) end
  if kind == "boolean" or kind == "nil" then return raw_tostring(value) end
  if kind == "table" then return describe_table(value, depth + 1) end
  local address = raw.string.match(raw_tostring(value), "0x%x+") or "0x0"
  return '"' .. kind .. "@" .. address .. '"'
end

local function describe_error(err)
  local found = tools.translate(err)
  if raw_type(found) == "table" then found = raw_rawget(found, "err") end
  return raw_tostring(found)
end

-- Whether a level of the stack is the sandbox's own, which users do not know.
local function is_own(info)
  return info.source == "=[C]" or info.what == "tail"
end

local actions = {}

function actions.print(name)
  local level = RUNNING
  local info = getinfo(level, "S")
  while info do
    local index = 1
    local found, value = getlocal(level, index)
    while found and not is_own(info) do
      if found == name then
        host.show("<value> " .. describe(value, 0))
        return
      end
      index = index + 1
      found, value = getlocal(level, index)
    end
    level = level + 1
    info = getinfo(level, "S")
  end
  if name == "KEYS" or name == "ARGV" then
    host.show("<value> " .. describe(raw_rawget(tools.globals, name), 0))
  else
    host.log("No such variable.")
  end
end

function actions.print_all()
  local count, index = 0, 1
  local name, value = getlocal(RUNNING, index)
  while name do
    if not find(name, "(*temporary)", 1, true) then
      host.show("<value> " .. name .. " = " .. describe(value, 0))
      count = count + 1
    end
    index = index + 1
    name, value = getlocal(RUNNING, index)
  end
  if count == 0 then host.log("No local variables in the current context.") end
end

function actions.trace()
  local level = RUNNING
  local info = getinfo(level, "nSl")
  while info do
    if find(info.short_src, "user_script", 1, true) then
      host.log_frame(info.name or "top level", info.currentline, level == RUNNING)
    end
    level = level + 1
    info = getinfo(level, "nSl")
  end
end

function actions.eval(code)
  local f, err = tools.globals.loadstring("return " .. code, "@ldb_eval")
  if not f then f, err = tools.globals.loadstring(code, "@ldb_eval") end
  if not f then
    host.log("<error> " .. err)
    return
  end
  local ok, value = raw_pcall(f)
  if ok then
    host.show("<retval> " .. describe(value, 0))
  else
    host.log("<error> " .. describe_error(value))
  end
end

local function hook(_, line)
  if not find(getinfo(2, "S").short_src, "user_script", 1, true) then return end
  if not host.stops_at(line) then return end
  while true do
    local action, word = host.next_action()
    if action == "go" then return end
    actions[action](word)
  end
end

local api = {}

function api.begin()
  tools.set_debug_hook(hook)
end

function api.finish()
  tools.set_debug_hook(nil)
end

function api.describe(value)
  return describe(value, 0)
end

return api
