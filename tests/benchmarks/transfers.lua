-- wrk's side of the transfer benchmark: `wrk … -s transfers.lua URL -- IDS PATH SEED EXPONENT`.
-- Prints one line of JSON when done; a response that is not a success is counted.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } a_time;
  int clock_gettime(int, a_time *);
]]
local time = ffi.new("a_time")

local function now()
  ffi.C.clock_gettime(1, time)
  return tonumber(time.seconds) * 1e3 + tonumber(time.nanoseconds) / 1e6
end

local threads = {}
local reached = {} -- by rank: the weights of all accounts up to it

local function account()
  local wanted = math.random() * reached[#ids]
  local low, high = 1, #ids
  while low < high do
    local middle = math.floor((low + high) / 2)
    if reached[middle] > wanted then high = middle else low = middle + 1 end
  end
  return low
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  ids = {}
  for line in io.lines(args[1]) do ids[#ids + 1] = line end
  path = args[2]
  math.randomseed(tonumber(args[3]))
  reached[0] = 0
  for rank = 1, #ids do
    reached[rank] = reached[rank - 1] + rank ^ -tonumber(args[4])
  end
  completed, failed, longest, last = 0, 0, 0, now()
  failure = ""
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

local body = '{"path":"accounts:transfer","format":"convex_encoded_json",'
  .. '"args":{"source":"%s","target":"%s","amount":%d}}'

function request()
  local source = account()
  local target = source
  while target == source do target = account() end
  return wrk.format(nil, path, nil, body:format(ids[source], ids[target], math.random(10)))
end

function response(status, headers, text)
  local at = now()
  if at - last > longest then longest = at - last end
  last = at
  completed = completed + 1
  if status ~= 200 or not text:find('"status":"success"', 1, true) then
    failed = failed + 1
    failure = text:sub(1, 300)
  end
end

function done(summary, latency, requests)
  local all, wrong, longest, words = 0, 0, 0, ""
  for _, thread in ipairs(threads) do
    all = all + thread:get("completed")
    wrong = wrong + thread:get("failed")
    longest = math.max(longest, thread:get("longest"))
    if thread:get("failed") > 0 then words = thread:get("failure") end
  end
  local lost = summary.errors
  io.write(string.format(
    '{"completed":%d,"failed":%d,"lost":%d,"seconds":%.3f,"p50":%.3f,"p99":%.3f,"pause":%.3f,"failure":"%s"}\n',
    all, wrong, lost.connect + lost.read + lost.write + lost.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    longest, (words:gsub("[^%w ]", "'"))))
end
