-- The load: returning users (how many: first argument), each with a request head of 11 fields whose Cookie names a
-- version for every proxy that is measured (gatekeeper's own cookie, nginx's userid, HAProxy's inserted server name).
-- All proxies get the same bytes. Users take turns over all connections, as behind a front proxy.
-- Prints one line of JSON at the end.

local users = 64
local requests = {}
local turn = 0

local function hex(digits)
  local out = {}
  for i = 1, digits do out[i] = string.format("%x", math.random(0, 15)) end
  return table.concat(out)
end

-- 16 random bytes in base64, the form nginx's userid module reads; the last character before == carries two bits.
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function userid()
  local out = {}
  for i = 1, 21 do
    local at = math.random(1, 64)
    out[i] = ALPHABET:sub(at, at)
  end
  out[22] = ({"A", "Q", "g", "w"})[math.random(1, 4)]
  return table.concat(out) .. "=="
end

function init(args)
  users = tonumber(args[1]) or users
  math.randomseed(20261123) -- the same users in every run
  for user = 1, users do
    local version = user % 2 == 0 and "blue" or "green"
    local cookie = "theme=dark; gatekeeper-shop=" .. hex(32) .. "; uid=" .. userid() .. "; server=" .. version
    requests[user] = wrk.format("GET", "/products/4711?page=2&sort=price", {
      ["Host"] = "shop.example.com",
      ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
      ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      ["Accept-Language"] = "de,en-US;q=0.7,en;q=0.3",
      ["Accept-Encoding"] = "gzip, deflate, br, zstd",
      ["Referer"] = "https://shop.example.com/products?page=1&sort=price",
      ["Cookie"] = cookie,
      ["Sec-Fetch-Dest"] = "document",
      ["Sec-Fetch-Mode"] = "navigate",
      ["Sec-Fetch-Site"] = "same-origin",
      ["Priority"] = "u=0, i",
    })
  end
end

function request()
  turn = turn % users + 1
  return requests[turn]
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "most_us": %d, '
      .. '"not_ok": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
