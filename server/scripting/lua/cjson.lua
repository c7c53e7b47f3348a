-- The library `cjson` of scripts (lua-cjson 2.1.0, as Redis 7.0 bundles it): JSON to Lua and back.
--
-- Arguments: `tools`, of library_tools.lua. Returns a function that makes a new table of functions, each
-- call with settings of its own; `null` stands for JSON's null.
local tools = ...
local raw = tools.raw
local whole_of, type_of, next, floor = tools.whole_of, raw.type, raw.next, raw.math.floor
local find, sub, byte, format = raw.string.find, raw.string.sub, raw.string.byte, raw.string.format
local char, gsub, match, concat = raw.string.char, raw.string.gsub, raw.string.match, raw.table.concat
local rawget, tonumber, tostring, lower = raw.rawget, raw.tonumber, raw.tostring, raw.string.lower
local fail, fail_argument, select = tools.fail, tools.fail_argument, raw.select
local null = tools.null

local INT_MAX, INT_MIN = 2147483647, -2147483648
-- What Lua's C stack holds, and what a level of nesting takes of it in lua-cjson.
local STACK_LIMIT = tools.STACK_LIMIT

-- Settings -------------------------------------------------------------------------------------

local DEFAULTS = {
  sparse_convert = false,
  sparse_ratio = 2,
  sparse_safe = 10,
  encode_max_depth = 1000,
  decode_max_depth = 1000,
  encode_invalid_numbers = false,
  decode_invalid_numbers = true,
  encode_keep_buffer = true,
  precision = 14,
}

local function check_count(most, ...)
  if select("#", ...) > most then fail_argument(most + 1, "found too many arguments") end
end

-- Set the whole number `name` if `value` is one, and return what it is.
local function integer_option(settings, name, index, value, low, high)
  if value ~= nil then
    value = tools.check_integer(index, value)
    if value < low or value > high then
      fail_argument(1, format("expected integer between %d and %d", low, high))
    end
    settings[name] = value
  end
  return settings[name]
end

-- The same for a switch; `words` are further states that it has, by name.
local function switch_option(settings, name, index, value, words)
  if type_of(value) == "boolean" then
    settings[name] = value
  elseif value ~= nil then
    value = tools.check_string(index, value)
    if value == "on" then
      settings[name] = true
    elseif value == "off" then
      settings[name] = false
    elseif words and words[value] then
      settings[name] = value
    else
      fail_argument(index, "invalid option '" .. value .. "'")
    end
  end
  return settings[name]
end

-- Encoding -------------------------------------------------------------------------------------

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n",
  ["\f"] = "\\f", ["\r"] = "\\r", ["\127"] = "\\u007f",
}
for code = 0, 31 do
  local letter = char(code)
  ESCAPES[letter] = ESCAPES[letter] or format("\\u%04x", code)
end

local function quoted(text)
  if find(text, '[%c"\\/]') then text = gsub(text, '[%c"\\/]', ESCAPES) end
  return '"' .. text .. '"'
end

local function refuse(value, reason)
  fail("Cannot serialise " .. type_of(value) .. ": " .. reason)
end

local function number_text(settings, number)
  if number ~= number or number == 1 / 0 or number == -1 / 0 then
    local state = settings.encode_invalid_numbers
    if not state then refuse(number, "must not be NaN or Inf") end
    if state == "null" then return "null" end
    if number ~= number then return "nan" end
  end
  return format(settings.number_format, number)
end

-- Return the size of `value` as an array, or nil if it is to become an object.
local function array_size(settings, value)
  local most, count = 0, 0
  for key in next, value do
    if type_of(key) ~= "number" or key < 1 or floor(key) ~= key then return nil end
    if key > most then most = key > INT_MAX and INT_MIN or key end
    count = count + 1
  end
  local ratio = settings.sparse_ratio
  if ratio > 0 and most > count * ratio and most > settings.sparse_safe then
    if not settings.sparse_convert then refuse(value, "excessively sparse array") end
    return nil
  end
  return most > 0 and most or nil
end

local encode_table

-- Append `value` to `out`; `used` is what the levels above take of the stack.
local function encode_value(settings, out, value, depth, used)
  local kind = type_of(value)
  if kind == "string" then
    out[#out + 1] = quoted(value)
  elseif kind == "number" then
    out[#out + 1] = number_text(settings, value)
  elseif kind == "table" then
    encode_table(settings, out, whole_of(value) or value, depth + 1, used)
  elseif kind == "boolean" then
    out[#out + 1] = value and "true" or "false"
  elseif value == nil or value == null then
    out[#out + 1] = "null"
  else
    refuse(value, "type not supported")
  end
end

function encode_table(settings, out, value, depth, used)
  if depth > settings.encode_max_depth or used + 3 > STACK_LIMIT then
    fail("Cannot serialise, excessive nesting (" .. depth .. ")")
  end
  local size = array_size(settings, value)
  if size then
    for i = 1, size do
      out[#out + 1] = i == 1 and "[" or ","
      encode_value(settings, out, rawget(value, i), depth, used + 1)
    end
    out[#out + 1] = "]"
    return
  end
  local before = "{"
  for key, item in next, value do
    if type_of(key) == "string" then
      out[#out + 1] = before .. quoted(key) .. ":"
    elseif type_of(key) == "number" then
      out[#out + 1] = before .. '"' .. number_text(settings, key) .. '":'
    else
      refuse(key, "table key must be a number or string")
    end
    before = ","
    encode_value(settings, out, item, depth, used + 2)
  end
  out[#out + 1] = before == "{" and "{}" or "}"
end

-- Decoding -------------------------------------------------------------------------------------

-- The text is read up to its first byte 0. `position` is that of the next byte, from 1 on.

local UNESCAPES = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", t = "\t", n = "\n", f = "\f", r = "\r",
}
-- How messages name what was found.
local TOKENS = {
  ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END",
  [":"] = "T_COLON", [","] = "T_COMMA", [""] = "T_END",
}

local function expected(what, found, position)
  fail("Expected " .. what .. " but found " .. found .. " at character " .. position)
end

local function utf8(code)
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xC0 + floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64,
    0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

-- Return the bytes that the escape at `position`, of a backslash and `u`, stands for, and its end;
-- nil if it stands for nothing.
local function unicode_escape(text, position)
  local digits = match(text, "^%x%x%x%x", position + 2)
  if not digits then return nil end
  local code = tonumber(digits, 16)
  if code < 0xD800 or code > 0xDFFF then return utf8(code), position + 6 end
  if code >= 0xDC00 then return nil end
  digits = match(text, "^\\u(%x%x%x%x)", position + 6)
  local second = digits and tonumber(digits, 16)
  if not second or second < 0xDC00 or second > 0xDFFF then return nil end
  return utf8(0x10000 + (code - 0xD800) * 1024 + second - 0xDC00), position + 12
end

-- Return the string whose first byte is at `position`, and where it ends; or nil, the fault and
-- where it is.
local function read_string(text, position)
  local stop = find(text, '["\\]', position)
  if stop and byte(text, stop) == 34 then return sub(text, position, stop - 1), stop + 1 end
  local pieces = {}
  while stop do
    pieces[#pieces + 1] = sub(text, position, stop - 1)
    if byte(text, stop) == 34 then return concat(pieces), stop + 1 end
    local letter = sub(text, stop + 1, stop + 1)
    if letter == "u" then
      local piece, after = unicode_escape(text, stop)
      if not piece then return nil, "invalid unicode escape code", stop end
      pieces[#pieces + 1] = piece
      position = after
    else
      local piece = UNESCAPES[letter]
      if not piece then return nil, "invalid escape code", stop end
      pieces[#pieces + 1] = piece
      position = stop + 2
    end
    stop = find(text, '["\\]', position)
  end
  return nil, "unexpected end of string", #text + 1
end

-- Return the number that begins at `position` as C's strtod reads it, and where it ends.
local function read_number(text, position)
  local _, stop = find(text, "^[+-]?%d+", position)
  if stop and not find(text, "^[.eExX]", stop + 1) then
    return tonumber(sub(text, position, stop)), stop + 1
  end
  local sign_end = select(2, find(text, "^[+-]?", position))
  local _, hex_end = find(text, "^0[xX]%x*%.?%x*", sign_end + 1)
  if hex_end and find(text, "^%.?%x", sign_end + 3) then
    local _, exponent_end = find(text, "^[pP][+-]?%d+", hex_end + 1)
    stop = exponent_end or hex_end
  else
    _, stop = find(text, "^%d+%.?%d*", sign_end + 1)
    if not stop then _, stop = find(text, "^%.%d+", sign_end + 1) end
    if stop then
      local _, exponent_end = find(text, "^[eE][+-]?%d+", stop + 1)
      stop = exponent_end or stop
    else
      local word = lower(sub(text, sign_end + 1, sign_end + 8))
      if word == "infinity" then
        stop = sign_end + 8
      elseif sub(word, 1, 3) == "inf" then
        stop = sign_end + 3
      elseif sub(word, 1, 3) == "nan" then
        local _, end_of_payload = find(text, "^%([%w_]*%)", sign_end + 4)
        stop = end_of_payload or sign_end + 3
      end
    end
  end
  if not stop then return nil end
  return tonumber(sub(text, position, stop)), stop + 1
end

-- Whether what begins at `position` is a number to strtod but not to JSON.
local function is_invalid_number(text, position)
  return find(text, "^%+", position) or find(text, "^-?0[xX%d]", position)
    or find(text, "^-?[iI][nN][fF]", position) or find(text, "^-?[nN][aA][nN]", position)
end

local WORDS = {t = "true", f = "false", n = "null"}
local VALUES = {t = true, f = false, n = null}

local decode_value

-- Return the value that a letter, a digit or a sign at `position` begins, and where it ends; or nil,
-- the fault and where it is.
local function decode_scalar(settings, text, position, first)
  if find(first, "[-%d]") then
    if not settings.decode_invalid_numbers and is_invalid_number(text, position) then
      return nil, "invalid number", position
    end
  elseif WORDS[first] and sub(text, position, position + #WORDS[first] - 1) == WORDS[first] then
    return VALUES[first], position + #WORDS[first]
  elseif not find(first, "[fiInNt+]") or not settings.decode_invalid_numbers
    or not is_invalid_number(text, position) then
    return nil, "invalid token", position
  end
  local value, after = read_number(text, position)
  if value == nil then return nil, "invalid number", position end
  return value, after
end

-- Return what stands at `position`, spaces passed over, and that position.
local function next_byte(text, position)
  position = find(text, "[^ \t\n\r]", position) or #text + 1
  return sub(text, position, position), position
end

-- Fail for want of `what` at `position`, where `first` stands; a value there may have a fault of its own.
local function fail_token(settings, text, position, first, what)
  local found = TOKENS[first]
  if not found then
    local value, fault, where
    if first == '"' then
      value, fault, where = read_string(text, position + 1)
      found = "T_STRING"
    else
      value, fault, where = decode_scalar(settings, text, position, first)
      found = value == null and "T_NULL" or type_of(value) == "boolean" and "T_BOOLEAN" or "T_NUMBER"
    end
    if value == nil then expected(what, fault, where) end
  end
  expected(what, found, position)
end

local function check_depth(settings, depth, used, position)
  if depth > settings.decode_max_depth or used > STACK_LIMIT then
    fail("Found too many nested data structures (" .. depth .. ") at character " .. position)
  end
end

-- Of both: `position` is behind the opening bracket; return the table and where it ends.

local function decode_array(settings, text, position, depth, used)
  check_depth(settings, depth, used + 2, position - 1)
  local found = {}
  local first
  first, position = next_byte(text, position)
  if first == "]" then return found, position + 1 end
  local count = 0
  while true do
    count = count + 1
    found[count], position = decode_value(settings, text, position, first, depth, used + 1)
    first, position = next_byte(text, position)
    if first == "]" then return found, position + 1 end
    if first ~= "," then fail_token(settings, text, position, first, "comma or array end") end
    first, position = next_byte(text, position + 1)
  end
end

local function decode_object(settings, text, position, depth, used)
  check_depth(settings, depth, used + 3, position - 1)
  local found = {}
  local first
  first, position = next_byte(text, position)
  if first == "}" then return found, position + 1 end
  while true do
    if first ~= '"' then fail_token(settings, text, position, first, "object key string") end
    local key, after, where = read_string(text, position + 1)
    if not key then expected("object key string", after, where) end
    first, position = next_byte(text, after)
    if first ~= ":" then fail_token(settings, text, position, first, "colon") end
    first, position = next_byte(text, position + 1)
    found[key], position = decode_value(settings, text, position, first, depth, used + 2)
    first, position = next_byte(text, position)
    if first == "}" then return found, position + 1 end
    if first ~= "," then fail_token(settings, text, position, first, "comma or object end") end
    first, position = next_byte(text, position + 1)
  end
end

-- Return the value at `position`, which `first` begins, and where it ends.
function decode_value(settings, text, position, first, depth, used)
  local value, after, where
  if first == '"' then
    value, after, where = read_string(text, position + 1)
  elseif first == "{" then
    return decode_object(settings, text, position + 1, depth + 1, used)
  elseif first == "[" then
    return decode_array(settings, text, position + 1, depth + 1, used)
  elseif TOKENS[first] then
    fail_token(settings, text, position, first, "value")
  else
    value, after, where = decode_scalar(settings, text, position, first)
  end
  if value == nil then expected("value", after, where) end
  return value, after
end

-- The library ----------------------------------------------------------------------------------

local function new(...)
  local settings = {}
  for name, value in next, DEFAULTS do settings[name] = value end
  settings.number_format = "%.14g"
  local made = {}

  function made.encode(...)
    if select("#", ...) ~= 1 then fail_argument(1, "expected 1 argument") end
    local out = {}
    encode_value(settings, out, (...), 0, 1)
    return concat(out)
  end

  function made.decode(...)
    if select("#", ...) ~= 1 then fail_argument(1, "expected 1 argument") end
    local text = tools.check_string(1, (...))
    if #text >= 2 and find(sub(text, 1, 2), "%z") then
      fail("JSON parser does not support UTF-16 or UTF-32")
    end
    if find(text, "%z") then text = match(text, "^%Z*") end
    local first, position = next_byte(text, 1)
    local value
    value, position = decode_value(settings, text, position, first, 0, 1)
    first, position = next_byte(text, position)
    if first ~= "" then fail_token(settings, text, position, first, "the end") end
    return value
  end

  function made.encode_sparse_array(...)
    check_count(3, ...)
    local convert, ratio, safe = ...
    switch_option(settings, "sparse_convert", 1, convert)
    integer_option(settings, "sparse_ratio", 2, ratio, 0, INT_MAX)
    integer_option(settings, "sparse_safe", 3, safe, 0, INT_MAX)
    return settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe
  end

  function made.encode_max_depth(...)
    check_count(1, ...)
    return integer_option(settings, "encode_max_depth", 1, (...), 1, INT_MAX)
  end

  function made.decode_max_depth(...)
    check_count(1, ...)
    return integer_option(settings, "decode_max_depth", 1, (...), 1, INT_MAX)
  end

  function made.encode_number_precision(...)
    check_count(1, ...)
    local precision = integer_option(settings, "precision", 1, (...), 1, 14)
    settings.number_format = "%." .. precision .. "g"
    return precision
  end

  function made.encode_keep_buffer(...)
    check_count(1, ...)
    return switch_option(settings, "encode_keep_buffer", 1, (...))
  end

  function made.encode_invalid_numbers(...)
    check_count(1, ...)
    return switch_option(settings, "encode_invalid_numbers", 1, (...), {null = true})
  end

  function made.decode_invalid_numbers(...)
    check_count(1, ...)
    return switch_option(settings, "decode_invalid_numbers", 1, (...))
  end

  made.new = new
  local library = tools.entries(made)
  library.null = null
  library._NAME = "cjson"
  library._VERSION = "2.1.0"
  return library
end

return new()
