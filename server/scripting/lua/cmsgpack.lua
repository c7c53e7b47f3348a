-- The library `cmsgpack` of scripts (lua-cmsgpack 0.4.0, as Redis 7.0 bundles it): MessagePack.
--
-- Arguments: `tools`, of library_tools.lua. Returns the library.
local tools = ...
local raw = tools.raw
local whole_of, type_of, next, floor = tools.whole_of, raw.type, raw.next, raw.math.floor
local char, byte, sub, concat = raw.string.char, raw.string.byte, raw.string.sub, raw.table.concat
local format = raw.string.format
local select, rawget, unpack = raw.select, raw.rawget, raw.unpack
local fail, fail_argument = tools.fail, tools.fail_argument
local STACK_LIMIT = tools.STACK_LIMIT

local MAX_NESTING = 16
local INT_MAX = 2147483647
local TOO_MANY = "stack overflow (too many return values at once; use unpack_one or unpack_limit"
  .. " instead.)"

-- Packing --------------------------------------------------------------------------------------

-- Return `size` bytes of a whole number from 0 up, the highest first.
local function big_endian(number, size)
  if size == 1 then return char(number) end
  if size == 2 then return char(floor(number / 256), number % 256) end
  local high = floor(number / 65536)
  if size == 4 then return big_endian(high, 2) .. big_endian(number % 65536, 2) end
  return big_endian(floor(number / 4294967296), 4) .. big_endian(number % 4294967296, 4)
end

local function pack_integer(number)
  if number >= 0 then
    if number <= 127 then return char(number) end
    if number <= 0xff then return "\204" .. char(number) end
    if number <= 0xffff then return "\205" .. big_endian(number, 2) end
    if number <= 0xffffffff then return "\206" .. big_endian(number, 4) end
    return "\207" .. big_endian(number, 8)
  end
  if number >= -32 then return char(256 + number) end
  if number >= -128 then return "\208" .. char(256 + number) end
  if number >= -32768 then return "\209" .. big_endian(65536 + number, 2) end
  if number >= -2147483648 then return "\210" .. big_endian(4294967296 + number, 4) end
  -- In two halves: 2^64 + number is no number that Lua can hold.
  local low = number % 4294967296
  local high = (number - low) / 4294967296
  return "\211" .. big_endian(4294967296 + high, 4) .. big_endian(low, 4)
end

local function pack_number(number)
  if number >= -2 ^ 63 and number < 2 ^ 63 and floor(number) == number then
    return pack_integer(number)
  end
  return tools.pack_number(number)
end

local function pack_string(text)
  local size = #text
  if size < 32 then return char(0xa0 + size) .. text end
  if size <= 0xff then return "\217" .. char(size) .. text end
  if size <= 0xffff then return "\218" .. big_endian(size, 2) .. text end
  return "\219" .. big_endian(size, 4) .. text
end

-- Return the head of an array or map; of the three opcodes the first has room for 15.
local function head(count, small, medium, large)
  if count <= 15 then return char(small + count) end
  if count <= 0xffff then return medium .. big_endian(count, 2) end
  return large .. big_endian(count, 4)
end

-- Whether all keys are the numbers from 1 up, and how many keys there are.
local function is_array(value)
  local count, most = 0, 0
  local is_list = true
  for key in next, value do
    count = count + 1
    if is_list then
      if type_of(key) ~= "number" or key <= 0 or key > INT_MAX or floor(key) ~= key then
        is_list = false
      elseif key > most then
        most = key
      end
    end
  end
  return is_list and most == count, count
end

-- Append `value`, which is in so many tables as `level` says, to `out`.
local function pack_value(out, value, level)
  local kind = type_of(value)
  if kind == "string" then
    out[#out + 1] = pack_string(value)
  elseif kind == "number" then
    out[#out + 1] = pack_number(value)
  elseif kind == "boolean" then
    out[#out + 1] = value and "\195" or "\194"
  elseif kind == "table" and level < MAX_NESTING then
    value = whole_of(value) or value
    local is_list, count = is_array(value)
    if is_list then
      out[#out + 1] = head(count, 0x90, "\220", "\221")
      for i = 1, count do pack_value(out, rawget(value, i), level + 1) end
    else
      out[#out + 1] = head(count, 0x80, "\222", "\223")
      for key, item in next, value do
        pack_value(out, key, level + 1)
        pack_value(out, item, level + 1)
      end
    end
  else
    out[#out + 1] = "\192"
  end
end

local library = {}

function library.pack(...)
  local count = select("#", ...)
  if count == 0 then fail_argument(0, "MessagePack pack needs input.") end
  if 2 * count > STACK_LIMIT then
    fail_argument(0, "Too many arguments for MessagePack pack.")
  end
  local out = {}
  for i = 1, count do pack_value(out, (select(i, ...)), 0) end
  return concat(out)
end

-- Unpacking ------------------------------------------------------------------------------------

-- Each reader takes the text, the position behind the opcode, from 1 on, what the stack holds and
-- the opcode; it returns the value and where that ends.

local function need(text, position, size)
  if position + size - 1 > #text then fail("Missing bytes in input.") end
end

local function read_unsigned(text, position, size)
  need(text, position, size)
  local number = 0
  if size == 8 then
    -- In two halves, so that it is rounded once.
    return read_unsigned(text, position, 4) * 4294967296 + read_unsigned(text, position + 4, 4)
  end
  for i = position, position + size - 1 do number = number * 256 + byte(text, i) end
  return number
end

local function read_signed(text, position, size)
  local high = read_unsigned(text, position, size > 4 and 4 or size)
  local limit = 2 ^ (8 * (size > 4 and 4 or size))
  if high >= limit / 2 then high = high - limit end
  if size < 8 then return high end
  return high * 4294967296 + read_unsigned(text, position + 4, 4)
end

local function integers(read, size)
  return function(text, position) return read(text, position, size), position + size end
end

local function floats(size)
  return function(text, position)
    need(text, position, size)
    local after = position + size
    return tools.unpack_float(size == 4 and ">f" or ">d", sub(text, position, after - 1)), after
  end
end

local function read_bytes(text, position, size)
  need(text, position, size)
  return sub(text, position, position + size - 1), position + size
end

local function constant(value)
  return function(_, position) return value, position end
end

local unpack_value

local function read_array(text, position, count, used)
  if used + 2 > STACK_LIMIT then fail("stack overflow (in function mp_decode_to_lua_array)") end
  local found = {}
  for i = 1, count do found[i], position = unpack_value(text, position, used + 2) end
  return found, position
end

local function read_map(text, position, count, used)
  local found = {}
  for _ = 1, count do
    local key, value
    key, position = unpack_value(text, position, used + 1)
    value, position = unpack_value(text, position, used + 2)
    -- As Lua itself says it, which is not told where.
    if key == nil then raw.error("table index is nil", 0) end
    if key ~= key then raw.error("table index is NaN", 0) end
    found[key] = value
  end
  return found, position
end

-- Readers of what is preceded by a count or size of `width` bytes.
local function counted(read, width)
  return function(text, position, used)
    local count = read_unsigned(text, position, width)
    return read(text, position + width, count, used)
  end
end

local READERS = {
  [0xc0] = constant(nil), [0xc2] = constant(false), [0xc3] = constant(true),
  [0xca] = floats(4), [0xcb] = floats(8),
  [0xcc] = integers(read_unsigned, 1), [0xcd] = integers(read_unsigned, 2),
  [0xce] = integers(read_unsigned, 4), [0xcf] = integers(read_signed, 8),
  [0xd0] = integers(read_signed, 1), [0xd1] = integers(read_signed, 2),
  [0xd2] = integers(read_signed, 4), [0xd3] = integers(read_signed, 8),
  [0xd9] = counted(read_bytes, 1), [0xda] = counted(read_bytes, 2),
  [0xdb] = counted(read_bytes, 4),
  [0xdc] = counted(read_array, 2), [0xdd] = counted(read_array, 4),
  [0xde] = counted(read_map, 2), [0xdf] = counted(read_map, 4),
}

-- Return the value at `position` and where it ends; the stack holds `used` values.
function unpack_value(text, position, used)
  local opcode = byte(text, position)
  if not opcode then fail("Missing bytes in input.") end
  if used + 1 > STACK_LIMIT then fail(TOO_MANY) end
  position = position + 1
  if opcode < 0x80 then return opcode, position end
  if opcode >= 0xe0 then return opcode - 256, position end
  if opcode < 0x90 then return read_map(text, position, opcode - 0x80, used) end
  if opcode < 0xa0 then return read_array(text, position, opcode - 0x90, used) end
  if opcode < 0xc0 then return read_bytes(text, position, opcode - 0xa0) end
  local reader = READERS[opcode]
  if not reader then fail("Bad data format in input.") end
  return reader(text, position, used)
end

-- Unpack at most `limit` values (nil: all) behind the first `offset` bytes; with a limit, return
-- first where to go on, or -1.
local function unpack_some(text, limit, offset)
  if offset < 0 or (limit or 0) < 0 then
    fail("Invalid request to unpack with offset of " .. format("%d", offset)
      .. " and limit of " .. #text .. ".")
  end
  if offset > #text then
    fail("Start offset " .. format("%d", offset) .. " greater than input length " .. #text
      .. ".")
  end
  local is_all = limit == nil or (limit == 0 and offset == 0)
  if is_all then limit = INT_MAX end
  local position, count = offset + 1, 0
  local found = {}
  while position <= #text and count < limit do
    count = count + 1
    found[count], position = unpack_value(text, position, count)
  end
  if is_all and count == 0 then return tools.nothing end
  if is_all then return unpack(found, 1, count) end
  return position > #text and -1 or position - 1, unpack(found, 1, count)
end

function library.unpack(...)
  return unpack_some(tools.check_string(1, ...), nil, 0)
end

function library.unpack_one(...)
  local text, offset = ...
  offset = offset == nil and 0 or tools.check_integer(2, offset)
  return unpack_some(tools.check_string(1, ...), 1, offset)
end

function library.unpack_limit(...)
  local text, limit, offset = ...
  limit = tools.check_integer(2, select(2, ...))
  offset = offset == nil and 0 or tools.check_integer(3, offset)
  return unpack_some(tools.check_string(1, ...), limit, offset)
end

local made = tools.entries(library)
made._NAME = "cmsgpack"
made._VERSION = "lua-cmsgpack 0.4.0"
made._COPYRIGHT = "Vedette"
made._DESCRIPTION = "MessagePack"
return made
