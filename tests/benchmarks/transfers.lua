-- wrk's side of the transfer benchmark: `wrk … -s transfers.lua URL -- IDS PATH SEED`.
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

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  ids = {}
  for line in io.lines(args[1]) do ids[#ids + 1] = line end
  path = args[2]
  math.randomseed(tonumber(args[3]))
  completed, failed, longest, last = 0, 0, 0, now()
  failure = ""
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

local body = '{"path":"accounts:transfer","format":"convex_encoded_json",'
  .. '"args":{"source":"%s","target":"%s","amount":%d}}'

function request()
  local source = math.random(#ids)
  local target = (source + math.random(#ids - 1) - 1) % #ids + 1
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
