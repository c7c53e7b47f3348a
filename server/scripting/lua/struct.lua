-- The library `struct` of scripts (Roberto Ierusalimschy's of 2018, as Redis 7.0 bundles it): values
-- to bytes as C lays them out, and back.
--
-- Arguments: `tools`, of library_tools.lua. Returns the library.
local tools = ...
local raw = tools.raw
local floor, select, unpack = raw.math.floor, raw.select, raw.unpack
local char, byte, sub, rep, find = raw.string.char, raw.string.byte, raw.string.sub, raw.string.rep,
  raw.string.find
local match, lower, concat, tonumber = raw.string.match, raw.string.lower, raw.table.concat, raw.tonumber
local fail, fail_argument = tools.fail, tools.fail_argument

local INT_MAX = 2147483647
local LARGEST_INTEGER = 32
local LARGEST_ALIGNMENT = 8
local SIZES = {b = 1, h = 2, l = 8, t = 8}

-- The state of one walk along a format: `text`, `position` in it, from 1 on, and what it has set.
local function new_walk(text)
  return {text = match(text, "^%Z*"), position = 1, is_little = true, alignment = 1}
end

local function read_count(walk, default)
  local digits = match(walk.text, "^%d+", walk.position)
  if not digits then return default end
  local count = tonumber(digits)
  if count > INT_MAX then fail("integral size overflow") end
  walk.position = walk.position + #digits
  return count
end

-- Return the next option of a format and the size of what it stands for; nil at the end.
local function next_option(walk)
  local option = sub(walk.text, walk.position, walk.position)
  if option == "" then return nil end
  walk.position = walk.position + 1
  if find(option, "[bBhHlLT]") then return option, SIZES[lower(option)] end
  if option == "f" then return option, 4 end
  if option == "d" then return option, 8 end
  if option == "x" then return option, 1 end
  if option == "c" then return option, read_count(walk, 1) end
  if option == "i" or option == "I" then
    local size = read_count(walk, 4)
    if size > LARGEST_INTEGER then
      fail("integral size " .. size .. " is larger than limit of " .. LARGEST_INTEGER)
    end
    return option, size
  end
  return option, 0
end

local function bits_in_common(a, b)
  local found, bit = 0, 1
  while bit <= b do
    if a % (bit * 2) >= bit and b % (bit * 2) >= bit then found = found + bit end
    bit = bit * 2
  end
  return found
end

-- Return how many bytes are left free before what `option` stands for.
local function padding(walk, option, size, offset)
  if size == 0 or option == "c" then return 0 end
  if size > walk.alignment then size = walk.alignment end
  if size == 1 then return 0 end
  return bits_in_common(size - bits_in_common(offset, size - 1), size - 1)
end

-- Do as an option says that stands for no value.
local function set(walk, option)
  if option == ">" then
    walk.is_little = false
  elseif option == "<" then
    walk.is_little = true
  elseif option == "!" then
    local alignment = read_count(walk, LARGEST_ALIGNMENT)
    local power = 1
    while power < alignment do power = power * 2 end
    if power ~= alignment then fail("alignment " .. alignment .. " is not a power of 2") end
    walk.alignment = alignment
  elseif option ~= " " then
    fail_argument(1, "invalid format option '" .. option .. "'")
  end
end

-- Integers -------------------------------------------------------------------------------------

-- Return `number` as C makes an integer of 64 bits of it, in eight bytes, the lowest first.
local function low_bytes(number)
  if number ~= number or number < -2 ^ 63 then
    number = -2 ^ 63
  elseif number >= 2 ^ 64 then
    number = 0
  end
  number = number < 0 and -floor(-number) or floor(number)
  local bytes = {}
  -- In two halves: of a negative number, no whole is one that Lua can hold.
  local half = number % 4294967296
  for i = 1, 8 do
    if i == 5 then half = (number - number % 4294967296) / 4294967296 % 4294967296 end
    bytes[i] = half % 256
    half = floor(half / 256)
  end
  return bytes
end

local function pack_integer(walk, number, size)
  local bytes = low_bytes(number)
  local found = {}
  for i = 1, size do
    found[walk.is_little and i or size - i + 1] = char(bytes[i] or 0)
  end
  return concat(found)
end

-- Return the integer in `size` bytes of `data` from `position` on; of more than 8 the lowest count.
local function unpack_integer(walk, data, position, size, is_signed)
  local high, low = 0, 0
  for i = 1, size do
    local value = byte(data, walk.is_little and position + size - i or position + i - 1)
    high = (high * 256 + floor(low / 16777216)) % 4294967296
    low = (low * 256 + value) % 4294967296
  end
  if not is_signed then return high * 4294967296 + low end
  -- The highest bit of what `size` says, as a shift by so much works on processors of 64 bits.
  local sign = (size * 8 - 1) % 64
  if sign >= 32 then
    local limit = 2 ^ (sign - 32)
    if high >= limit then high = high % limit - limit end
  else
    local limit = 2 ^ sign
    if high > 0 or low >= limit then high, low = 0, low % limit - limit end
  end
  return high * 4294967296 + low
end

-- The library ----------------------------------------------------------------------------------

local library = {}

function library.pack(...)
  local walk = new_walk(tools.check_string(1, ...))
  local out, offset, index = {}, 0, 2
  while true do
    local option, size = next_option(walk)
    if not option then return concat(out) end
    local free = padding(walk, option, size, offset)
    if free > 0 then out[#out + 1] = rep("\0", free) end
    offset = offset + free
    if find(option, "[bBhHlLTiI]") then
      out[#out + 1] = pack_integer(walk, tools.check_number(index, (select(index, ...))), size)
      index = index + 1
    elseif option == "x" then
      out[#out + 1] = "\0"
    elseif option == "f" or option == "d" then
      local number = tools.check_number(index, (select(index, ...)))
      index = index + 1
      out[#out + 1] = tools.pack_float((walk.is_little and "<" or ">") .. option, number)
    elseif option == "c" or option == "s" then
      local text = tools.check_string(index, (select(index, ...)))
      index = index + 1
      if size == 0 then size = #text end
      if #text < size then fail_argument(index, "string too short") end
      out[#out + 1] = sub(text, 1, size)
      if option == "s" then
        out[#out + 1] = "\0"
        size = size + 1
      end
    else
      set(walk, option)
    end
    offset = offset + size
  end
end

local function check_room(data, offset, size)
  if size > #data or offset > #data - size then fail_argument(2, "data string too short") end
end

function library.unpack(...)
  local walk = new_walk(tools.check_string(1, ...))
  local data = tools.check_string(2, select(2, ...))
  local start = select(3, ...)
  local offset = start == nil and 1 or tools.check_integer(3, start)
  if offset == 0 then fail_argument(3, "offset must be 1 or greater") end
  -- A negative one is a huge one.
  offset = offset < 0 and 2 ^ 64 + offset or offset - 1
  local found, count = {}, 0
  local stack_used = select("#", ...)
  while true do
    local option, size = next_option(walk)
    if not option then break end
    offset = offset + padding(walk, option, size, offset)
    check_room(data, offset, size)
    if stack_used + count + 2 > tools.STACK_LIMIT then fail("stack overflow (too many results)") end
    local value
    if find(option, "[bBhHlLTiI]") then
      value = unpack_integer(walk, data, offset + 1, size, lower(option) == option)
    elseif option == "f" or option == "d" then
      local form = (walk.is_little and "<" or ">") .. option
      value = tools.unpack_float(form, sub(data, offset + 1, offset + size))
    elseif option == "c" then
      if size == 0 then
        if count == 0 or not tonumber(found[count]) then
          fail("format 'c0' needs a previous size")
        end
        size = floor(tonumber(found[count]))
        if size < 0 then size = 2 ^ 64 + size end
        count = count - 1
        check_room(data, offset, size)
      end
      value = sub(data, offset + 1, offset + size)
    elseif option == "s" then
      local stop = find(data, "%z", offset + 1)
      if not stop then fail("unfinished string in data") end
      value = sub(data, offset + 1, stop - 1)
      size = stop - offset
    elseif option ~= "x" then
      set(walk, option)
    end
    if value ~= nil then
      count = count + 1
      found[count] = value
    end
    offset = offset + size
  end
  found[count + 1] = offset + 1
  return unpack(found, 1, count + 1)
end

function library.size(...)
  local walk = new_walk(tools.check_string(1, ...))
  local offset = 0
  while true do
    local option, size = next_option(walk)
    if not option then return offset end
    offset = offset + padding(walk, option, size, offset)
    if option == "s" then fail_argument(1, "option 's' has no fixed size") end
    if option == "c" and size == 0 then fail_argument(1, "option 'c0' has no fixed size") end
    if not find(option, "%w") then set(walk, option) end
    offset = offset + size
  end
end

return tools.entries(library)
