-- A Wireshark dissector for frsh over plain TCP (frshd --plaintext; lessons and captures).
--
--   wireshark -X lua_script:scripts/frsh.lua capture.pcap
--   tshark -X lua_script:scripts/frsh.lua -r capture.pcap -Y 'frsh.type == "end"'
--
-- A frame is four bytes of length, a JSON header of that length, and a payload of "len" bytes (see
-- common/proto/PROTOCOL.md). A frame may begin and end anywhere in a segment, so the dissector
-- requests more bytes until the frame is whole. Each frame has a tree of its own. The run's id of an
-- `open` is stored, so that a filter for frsh.run also finds the other frames of its channel.

local frsh = Proto("frsh", "frsh, the framed remote shell")

local MAX_HEADER = 131072
local MAX_PAYLOAD = 1048576
local PORT = 7722

local f = frsh.fields
f.header_len = ProtoField.uint32("frsh.header_len", "Header length", base.DEC)
f.header = ProtoField.string("frsh.header", "Header")
f.type = ProtoField.string("frsh.type", "Type")
f.run = ProtoField.string("frsh.run", "Run")
f.stream = ProtoField.string("frsh.stream", "Stream")
f.reason = ProtoField.string("frsh.reason", "Reason")
f.message = ProtoField.string("frsh.message", "Message")
f.outcome = ProtoField.string("frsh.outcome", "Outcome")
f.signal = ProtoField.string("frsh.signal", "Signal")
f.code = ProtoField.uint32("frsh.code", "Exit code", base.DEC)
f.ch = ProtoField.uint32("frsh.ch", "Channel", base.DEC)
f.shell = ProtoField.uint32("frsh.shell", "Shell", base.DEC)
f.listener = ProtoField.uint32("frsh.listener", "Listener", base.DEC)
f.connection = ProtoField.uint64("frsh.connection", "Incoming connection", base.DEC)
f.port = ProtoField.uint32("frsh.port", "Port", base.DEC)
f.from = ProtoField.string("frsh.from", "Peer of the connection")
f.problem = ProtoField.string("frsh.problem", "Why nothing listens")
f.pid = ProtoField.uint32("frsh.pid", "Process", base.DEC)
f.off = ProtoField.uint64("frsh.off", "Offset", base.DEC)
f.time = ProtoField.uint64("frsh.t", "Time since the run began (us)", base.DEC)
f.consumed = ProtoField.uint64("frsh.consumed", "Consumed", base.DEC)
f.limit = ProtoField.uint64("frsh.limit", "Limit", base.DEC)
f.columns = ProtoField.uint32("frsh.columns", "Columns", base.DEC)
f.rows = ProtoField.uint32("frsh.rows", "Rows", base.DEC)
f.generation = ProtoField.uint64("frsh.generation", "Generation of the shell", base.DEC)
f.unseen = ProtoField.string("frsh.unseen", "What could not be seen")
f.lost = ProtoField.string("frsh.lost", "Runs that were lost")
f.len = ProtoField.uint32("frsh.len", "Payload length", base.DEC)
f.payload = ProtoField.bytes("frsh.payload", "Payload")
f.text = ProtoField.string("frsh.text", "Payload as text")

local e_malformed = ProtoExpert.new("frsh.malformed", "Not a frame of frsh", expert.group.MALFORMED,
                                    expert.severity.ERROR)
frsh.experts = { e_malformed }

local tcp_stream = Field.new("tcp.stream")

-- --- JSON, as far as a header needs it ----------------------------------------------------------

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

-- Returns the string whose opening quote is at `at`, and the position behind it.
local function read_string(text, at)
    local parts, from = {}, at + 1
    while true do
        local stop = text:find('["\\]', from)
        if not stop then return nil end
        parts[#parts + 1] = text:sub(from, stop - 1)
        if text:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
        local escape = text:sub(stop + 1, stop + 1)
        if escape == "u" then
            parts[#parts + 1] = "\\u" .. text:sub(stop + 2, stop + 5)
            from = stop + 6
        else
            parts[#parts + 1] = ESCAPES[escape] or escape
            from = stop + 2
        end
    end
end

-- Returns the members of the object that begins at `at`; nil if there is no object. Inner objects
-- are tables, arrays are skipped.
local read_value

local function read_object(text, at)
    local object = {}
    at = text:match("^%s*{%s*()", at)
    if not at then return nil end
    while text:sub(at, at) ~= "}" do
        if text:sub(at, at) ~= '"' then return nil end
        local key, value
        key, at = read_string(text, at)
        if not key then return nil end
        at = text:match("^%s*:%s*()", at)
        if not at then return nil end
        value, at = read_value(text, at)
        if not at then return nil end
        object[key] = value
        at = text:match("^%s*,%s*()", at) or text:match("^%s*()", at)
        if at > #text then return nil end
    end
    return object, at + 1
end

local function skip_array(text, at)
    local depth = 0
    while at <= #text do
        local c = text:sub(at, at)
        if c == '"' then
            local _
            _, at = read_string(text, at)
            if not at then return nil end
        else
            if c == "[" or c == "{" then depth = depth + 1 end
            if c == "]" or c == "}" then depth = depth - 1 end
            at = at + 1
            if depth == 0 then return at end
        end
    end
    return nil
end

read_value = function(text, at)
    local c = text:sub(at, at)
    if c == '"' then return read_string(text, at) end
    if c == "{" then return read_object(text, at) end
    if c == "[" then return "[...]", skip_array(text, at) end
    local word, after = text:match("^([%w%.%+%-]+)()", at)
    if not word then return nil end
    return tonumber(word) or word, after
end

-- --- frames -------------------------------------------------------------------------------------

-- `runs` maps a channel of a connection to its run. `found` has the run of each frame from its first
-- dissection: Wireshark dissects a packet again whenever it is selected.
local runs = {}
local found = {}

function frsh.init()
    runs = {}
    found = {}
end

local function run_of(header, pinfo, text)
    -- Wireshark may pass a packet in two parts: the end of one frame, and the frames behind it. So
    -- the key of a frame is its header and not its place in the packet.
    local key = pinfo.number .. ":" .. text
    if found[key] == nil then
        local stream = tcp_stream()
        local channel = (stream and tostring(stream) or "?") .. ":" .. tostring(header.ch)
        if header.type == "open" then runs[channel] = header.run end
        found[key] = header.run or (header.ch and runs[channel]) or false
    end
    return found[key] or nil
end

local function add(tree, field, range, value)
    if type(value) == "string" then tree:add(field, range, value) end
end

local function add_number(tree, field, range, value)
    if type(value) == "number" and value >= 0 and value < 2 ^ 32 then tree:add(field, range, value) end
end

local function add_long(tree, field, range, value)
    if type(value) == "number" and value >= 0 and value < 2 ^ 53 then
        tree:add(field, range, UInt64.new(value % 2 ^ 32, math.floor(value / 2 ^ 32)))
    end
end

local function summary(header, run, payload_len)
    local words = { header.type }
    if header.stream then words[#words + 1] = header.stream end
    if run then words[#words + 1] = "run=" .. run end
    if payload_len > 0 then words[#words + 1] = "len=" .. payload_len end
    if type(header.outcome) == "table" then
        words[#words + 1] = tostring(header.outcome.kind)
        words[#words + 1] = header.outcome.code or header.outcome.signal
    end
    return table.concat(words, " ")
end

local function show_frame(tvb, pinfo, tree, at, header_len, payload_len, header)
    local whole = tvb(at, 4 + header_len + payload_len)
    local head = tvb(at + 4, header_len)
    local run = run_of(header, pinfo, tvb:raw(at + 4, header_len))
    local line = summary(header, run, payload_len)
    local branch = tree:add(frsh, whole, "frsh frame: " .. line)
    branch:add(f.header_len, tvb(at, 4))
    branch:add(f.header, head)
    add(branch, f.type, head, header.type)
    add_number(branch, f.ch, head, header.ch)
    if run then
        local item = branch:add(f.run, head, run)
        if not header.run then item:set_generated() end
    end
    add(branch, f.stream, head, header.stream)
    add(branch, f.reason, head, header.reason)
    add(branch, f.message, head, header.message)
    add_number(branch, f.shell, head, header.shell)
    add_number(branch, f.listener, head, header.listener)
    add_long(branch, f.connection, head, header.connection)
    add_number(branch, f.port, head, header.port)
    add(branch, f.from, head, header.from)
    add(branch, f.problem, head, header.problem)
    add_number(branch, f.pid, head, header.pid)
    add_long(branch, f.off, head, header.off)
    add_long(branch, f.time, head, header.t)
    add_long(branch, f.consumed, head, header.consumed)
    add_long(branch, f.limit, head, header.limit)
    if header.columns then
        add_number(branch, f.columns, head, header.columns)
        add_number(branch, f.rows, head, header.rows)
    end
    if header.type == "signal" then add(branch, f.signal, head, header.name) end
    if type(header.outcome) == "table" then
        add(branch, f.outcome, head, header.outcome.kind)
        add_number(branch, f.code, head, header.outcome.code)
        add(branch, f.signal, head, header.outcome.signal)
    end
    add_long(branch, f.generation, head, header.generation)
    add(branch, f.unseen, head, header.unseen)
    if header.type == "resumed" then add(branch, f.lost, head, header.lost) end
    branch:add(f.len, head, payload_len)
    if payload_len > 0 then
        local payload = tvb(at + 4 + header_len, payload_len)
        branch:add(f.payload, payload)
        branch:add(f.text, payload, payload:string())
    end
    return line
end

-- Returns header length, payload length and header of the frame at `at`. If the frame is incomplete,
-- returns nil and how many more bytes are needed. If there is no frame, returns nil.
local function measure(tvb, at)
    local left = tvb:len() - at
    if left < 4 then return nil, DESEGMENT_ONE_MORE_SEGMENT end
    local header_len = tvb(at, 4):uint()
    if header_len == 0 or header_len > MAX_HEADER then return nil end
    if left < 4 + header_len then return nil, 4 + header_len - left end
    local header = read_object(tvb:raw(at + 4, header_len), 1)
    if not header or type(header.type) ~= "string" then return nil end
    local payload_len = header.len or 0
    if type(payload_len) ~= "number" or payload_len < 0 or payload_len > MAX_PAYLOAD
        or payload_len % 1 ~= 0 then
        return nil
    end
    if left < 4 + header_len + payload_len then
        return nil, 4 + header_len + payload_len - left
    end
    return header_len, payload_len, header
end

function frsh.dissector(tvb, pinfo, tree)
    local at, lines = 0, {}
    while at < tvb:len() do
        local header_len, payload_len, header = measure(tvb, at)
        if not header_len then
            if not payload_len then
                local rest = tree:add(frsh, tvb(at), "frsh: not a frame")
                rest:add_proto_expert_info(e_malformed)
                lines[#lines + 1] = "(not a frame)"
                at = tvb:len()
                break
            end
            -- The rest is in later segments. TCP's dissector then passes the frame as one piece.
            pinfo.desegment_offset = at
            pinfo.desegment_len = payload_len
            break
        end
        lines[#lines + 1] = show_frame(tvb, pinfo, tree, at, header_len, payload_len, header)
        at = at + 4 + header_len + payload_len
    end
    if #lines > 0 then
        pinfo.cols.protocol = "frsh"
        pinfo.cols.info = table.concat(lines, " | ")
    end
    return tvb:len()
end

-- Recognizes frsh on any other port: a length up to 4096, then the opening brace of a header.
local function looks_like_frsh(tvb, pinfo, tree)
    if tvb:len() < 5 then return false end
    local header_len = tvb(0, 4):uint()
    if header_len == 0 or header_len > 4096 or tvb(4, 1):uint() ~= 0x7B then return false end
    pinfo.conversation = frsh
    frsh.dissector(tvb, pinfo, tree)
    return true
end

DissectorTable.get("tcp.port"):add(PORT, frsh)
frsh:register_heuristic("tcp", looks_like_frsh)
