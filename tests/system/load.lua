-- The load of the system tests. Every request carries X-Sent, the monotonic clock in microseconds in the moment before
-- it is written: wrk asks for a request when its connection is ready to take one. Arguments:
--   close=N   every N-th request asks for the connection to be closed, so that fresh ones are made all the time
--   path=P    what is asked for, / by default
--   units=N   sends X-User-Id, N different ones in turn
-- Prints one line of JSON at the end.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *time);
]]
local MONOTONIC = 1
local moment = ffi.new("moment")

local options = {path = "/", close = "0", units = "0"}
local close, units, sent = 0, 0, 0
local head

function init(args)
  for _, argument in ipairs(args) do
    local name, value = argument:match("^(%a+)=(.*)$")
    options[name] = value
  end
  close, units = tonumber(options.close), tonumber(options.units)
  head = "GET " .. options.path .. " HTTP/1.1\r\nHost: shop.example.com\r\nX-Sent: "
end

function request()
  sent = sent + 1
  ffi.C.clock_gettime(MONOTONIC, moment)
  local now = tonumber(moment.seconds) * 1e6 + math.floor(tonumber(moment.nanoseconds) / 1e3)
  local more = "\r\n"
  if close > 0 and sent % close == 0 then more = more .. "Connection: close\r\n" end
  if units > 0 then more = more .. string.format("X-User-Id: user-%d\r\n", sent % units) end
  return head .. string.format("%.0f", now) .. more .. "\r\n"
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "most": %d, '
      .. '"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
