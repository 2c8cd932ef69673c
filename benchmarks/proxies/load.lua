-- The load: the requests of a file (first argument), with a zero byte between them. Users take turns over all
-- connections, as behind a front proxy. Where a request has a row of eight tildes it gets a number instead, another each
-- time. Prints one line of JSON at the end.

local requests = {}
local turn = 0
local number = 10000000
local MARK = string.rep("~", 8)

local function split(text)
  local parts, from = {}, 1
  while true do
    local at = text:find(MARK, from, true)
    if not at then break end
    parts[#parts + 1] = text:sub(from, at - 1)
    from = at + #MARK
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for text in file:read("*a"):gmatch("[^%z]+") do
    local parts = split(text)
    requests[#requests + 1] = #parts > 1 and parts or text
  end
  file:close()
end

function request()
  turn = turn % #requests + 1
  local found = requests[turn]
  if type(found) == "string" then return found end
  number = number + 1
  return table.concat(found, tostring(number))
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "most_us": %d, '
      .. '"not_ok": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
