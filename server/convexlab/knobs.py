"""Every limit, timeout and size with a meaning, in one place: unit, default, reason.

Grouped by package, in import order. Names end in their unit. A number that
stands anywhere else has no meaning of its own.
"""

from __future__ import annotations

from typing import Final

# -- documents: Convex's documented limits ------------------------------------

MAX_DOCUMENT_BYTES: Final = 1 << 20
MAX_VALUE_BYTES: Final = 16 << 20
# Up to so many bytes the arguments of a query that nobody follows are brought to one
# spelling, so that two who ask the same share its run. A vector's numbers have 8,000.
CANONICAL_ARGUMENTS_BYTES: Final = 4096
MAX_DOCUMENT_NESTING: Final = 16
MAX_VALUE_NESTING: Final = 64
MAX_ARRAY_LENGTH: Final = 8192
MAX_OBJECT_FIELDS: Final = 1024
MAX_FIELD_NAME_BYTES: Final = 1024
MAX_IDENTIFIER_CHARS: Final = 64
MAX_INDEX_FIELDS: Final = 15
MAX_INDEXES_PER_TABLE: Final = 64
# As many text indexes, and as many vector indexes.
MAX_SPECIAL_INDEXES_PER_TABLE: Final = 4
MAX_FILTER_FIELDS: Final = 16
MIN_VECTOR_DIMENSIONS: Final = 2
MAX_VECTOR_DIMENSIONS: Final = 4096
MAX_TABLES: Final = 10_000

# -- engine: per-transaction limits as Convex documents them -------------------

MAX_DOCUMENTS_READ: Final = 32_000
MAX_BYTES_READ: Final = 16 << 20
MAX_READ_INTERVALS: Final = 4096
MAX_WRITES: Final = 16_000
MAX_BYTES_WRITTEN: Final = 16 << 20
MAX_NESTED_CALLS: Final = 8
# From this share of a limit on, a warning goes to the log of the call.
WARN_AT_SHARE: Final = 0.8
MAX_FUNCTIONS_SCHEDULED: Final = 1000
MAX_SCHEDULED_BYTES: Final = 16 << 20

# The log and history that the protocol needs: a client that was away for less
# than this finds its timestamp again.
PROTOCOL_RETENTION_SECONDS: Final = 4 * 60
HISTORY_RETENTION_SECONDS: Final = 7 * 24 * 3600
# Convex keeps a session's mutation outcomes as long; npm clients replay by them.
SESSION_RECORD_SECONDS: Final = 14 * 24 * 3600
# How long a page's key of the owner's is good; pages ask again at half of it.
OWNER_SESSION_SECONDS: Final = 3600

# Rows a range read fetches at once: first, and at most (it grows fourfold).
RANGE_FIRST_ROWS: Final = 16
RANGE_CHUNK_ROWS: Final = 256
# Up to so many later commits a reader undoes; beyond, it reads history instead.
UNDO_COMMITS: Final = 500
# What came of a push that failed, or was replaced, is told for so long: Convex's.
SCHEMA_RECORD_SECONDS: Final = 3600
# Backfilling and checking go in slices of so many documents (about 2 ms).
SLICE_DOCUMENTS: Final = 200
# Slices made durable together: more would wait in memory, fewer would wait for the disk.
CHORES_GROUP_SLICES: Final = 10
# A backfill says to people how far it is every so many documents: some twenty times a
# second, where each of its slices would have every sidebar told hundreds of times.
BACKFILL_TELL_DOCUMENTS: Final = 2_000
# Retention trims so many rows at a time, so that no mutation waits long for it.
TRIM_ROWS: Final = 250
HISTORY_RETENTION_BYTES: Final = 1 << 30
# Of texts of documents the writer keeps so much at hand: 110,000 small ones. One that
# is not there costs a mutation as much as three that are.
CACHED_BYTES: Final = 96 << 20
CACHED_DOCUMENT_BYTES: Final = 4096
SQLITE_BUSY_MS: Final = 5000
SQLITE_CACHE_KIB: Final = 16 << 10
# Pages of the file come from the page cache without a copy; 0 turns it off. So large
# that all of a file is mapped: what is mapped is address space, not memory.
SQLITE_MMAP_BYTES: Final = 1 << 36
# How much the WAL grows (frames of 4 KB) until what is new is copied: each look is a
# flush of its own, so looking after every group would double the disk's work.
WAL_LOOK_FRAMES: Final = 1000
# The WAL begins anew once it has so many frames ...
WAL_RESTART_FRAMES: Final = 2000
# ... and no more than so many are left to copy, about 3 ms of the writer's time.
WAL_REST_FRAMES: Final = 3000
# A WAL this long (100 MB; a bulk insert) is worth a pause until all of it is copied.
WAL_LONG_FRAMES: Final = 24_000

# -- functions ----------------------------------------------------------------

# The user's own time in a query or mutation, store operations left out.
FUNCTION_USER_SECONDS: Final = 1.0
# How much longer a call may take whose process the machine keeps from working.
FUNCTION_PATIENCE_SECONDS: Final = 4.0
# Store operations included.
FUNCTION_SYSTEM_SECONDS: Final = 15.0
READERS: Final = 2
# A query known to take longer has its own lane, so that it delays only itself.
SLOW_QUERY_SECONDS: Final = 0.050
MAX_LOG_LINES: Final = 256
# What Convex lets one page ask for, and one query chain.
MAX_PAGE_ITEMS: Final = 32_000
MAX_QUERY_OPERATORS: Final = 256
# A longer filter is left out of the read set, which every result carries.
MAX_RECORDED_FILTER_BYTES: Final = 16 << 10
MAX_LOG_LINE_BYTES: Final = 32 << 10

# Arguments of one scheduled function above this get a warning, as in Convex.
LARGE_SCHEDULED_BYTES: Final = 4 << 20
# How many scheduled functions may wait at once, and how far from now.
MAX_PENDING_FUNCTIONS: Final = 1_000_000
SCHEDULE_WINDOW_DAYS: Final = 5 * 366
# How long `_scheduled_functions` tells how one ended.
FINISHED_FUNCTION_SECONDS: Final = 7 * 24 * 3600
# So many of them are forgotten in one transaction (about 2 ms).
FORGOTTEN_AT_ONCE: Final = 200
# A cron whose schedule is changed by a push keeps a run that is due so soon.
CRON_SOON_SECONDS: Final = 30
# What `_cron_jobs` tells of each cron's last runs.
CRON_RUNS_KEPT: Final = 5
CRON_LOG_LINES: Final = 50
CRON_LOG_CHARS: Final = 1000

# Groups go on bringing a table's documents so long after its last filtered result.
VERSIONS_SHOWN_SECONDS: Final = 10.0
# A group with more than that brings none, and what was read through filters runs again.
MAX_VERSIONS_BYTES: Final = 8 << 20
# Encoded results, kept for whoever asks next. Beyond, the hash of what each client has
# stays, so that equal results are not told again.
RESULT_CACHE_BYTES: Final = 64 << 20
# Why followed queries were asked again last, for people who look: a page has some dozens.
STORIES_KEPT: Final = 1_000
# A group may hold hundreds of mutations: the first paths of it are named.
CAUSES_NAMED: Final = 3
# About what it takes to follow one interval that a result was read from.
READ_BYTES: Final = 400
# A result that looked at the clock: what is watched stays, new askers get a new run.
CLOCK_READ_RESULT_SECONDS: Final = 5.0

# -- sync ---------------------------------------------------------------------

# A round waits no longer for its queries before the next one may start, and not at
# all for queries that were seen to run for longer.
ROUND_SECONDS: Final = 0.010
# Convex's bound on a session's queue, for mutations and for actions.
MAX_SESSION_CALLS: Final = 1000
# A slow client gets no third Transition while two are unsent: the rest coalesce.
MAX_UNSENT_TRANSITIONS: Final = 2
# npm's client repeats its mutations right after its queries when it comes back: they
# are answered first, so that no optimistic update is shown over its own effect.
RECONNECT_PAUSE_SECONDS: Final = 0.020
# Scheduled mutations that the writer is given at once: enough to fill its groups.
SCHEDULED_MUTATIONS: Final = 64
# Scheduled actions that run at once, as in a Convex of one's own.
SCHEDULED_ACTIONS: Final = 8
# What is due is read so many at a time; so many actions may wait for their turn.
DUE_AT_ONCE: Final = 256
MAX_DUE_ACTIONS: Final = 10_000
# A clock that was set, or a machine that slept, is noticed so soon.
CLOCK_LOOK_SECONDS: Final = 1.0
# After a failure that is not the function's: at first, and at most.
SCHEDULER_RETRY_SECONDS: Final = 0.5
SCHEDULER_RETRY_MOST_SECONDS: Final = 2 * 3600.0
# A look at what is due costs little, and what is due waits for it.
SCHEDULER_LOOK_MOST_SECONDS: Final = 10.0
# A mutation whose writer died under it so often is taken for the cause.
SCHEDULED_DEATHS: Final = 5
# How often what has been over for `FINISHED_FUNCTION_SECONDS` is looked for.
FORGET_SECONDS: Final = 3600.0
# A client that comes back says again in its first moment what it has no answer to ...
RESEND_SECONDS: Final = 1.0
# ... and gets what an action came to, if it began no longer ago than this; that it was
# begun is known for a day, or for so many actions.
REPLAY_SECONDS: Final = 120.0
CLAIM_SECONDS: Final = 24 * 3600.0
MAX_CLAIMS: Final = 50_000
# How far a client may push our clock with a timestamp that it claims to have seen.
MAX_CLOCK_RAISE_SECONDS: Final = 300.0
# No client's clock stands beyond this, in milliseconds: JavaScript's dates end here.
MAX_CLIENT_MS: Final = 8.64e15
# Texts of Transitions that a round's sessions may share: so many, each of so many bytes
# at most, are kept.
SHARED_TEXTS: Final = 16
SHARED_TEXT_BYTES: Final = 128 << 10
# Sessions served in one go, before the loop looks at its sockets again.
SESSIONS_PER_STEP: Final = 100

# -- auth ---------------------------------------------------------------------

# How far an issuer's clock may be off: Convex's, for `customJwt` tokens.
TOKEN_GRACE_SECONDS: Final = 5.0
# How long an issuer's keys are believed: when it does not say, at least, at most.
KEYS_SECONDS: Final = 300.0
KEYS_LEAST_SECONDS: Final = 15.0
KEYS_MOST_SECONDS: Final = 24 * 3600.0
# An unknown key id has them fetched again, but strangers shall not make us knock.
KEYS_AGAIN_SECONDS: Final = 60.0
KEYS_TIMEOUT_SECONDS: Final = 5.0
KEYS_MOST_BYTES: Final = 1 << 20

# -- web ----------------------------------------------------------------------

# Arguments are up to 16 MiB, and JSON may need several bytes for one. `serve` has an
# option for it.
MAX_INBOUND_MESSAGE_BYTES: Final = 64 << 20
# Where a deployment takes clients' offer to compress (`serve --compress`): what is
# smaller than this goes as it is.
COMPRESS_OVER_BYTES: Final = 1024
COMPRESSION_LEVEL: Final = 1
MAX_BODY_BYTES: Final = 64 << 20
# Rust's WebSocket library refuses frames over 16 MiB, and takes messages up to 64.
FRAGMENT_OVER_BYTES: Final = 8 << 20
FRAGMENT_BYTES: Final = 4 << 20
# A larger Transition goes in parts of so many bytes to clients that take them so.
CHUNK_BYTES: Final = 5_000_000
# Python's client gives up after 30 s without any frame; control pings are frames.
CONTROL_PING_SECONDS: Final = 5.0
# npm's gives up after 60 s without a message, and control pings are none to it.
PING_AFTER_SECONDS: Final = 12.0
# A peer that answered no control ping for so long is gone.
SILENT_PEER_SECONDS: Final = 120.0
# A socket with unsent Transitions is looked at again: first after, then at most.
DRAIN_CHECK_SECONDS: Final = 0.010
DRAIN_CHECK_MOST_SECONDS: Final = 0.160
# A peer that does not answer our close is cut off.
CLOSE_SECONDS: Final = 5.0
# A call under the head of one before is taken by aiohttp again after so long, which
# closes connections that it has not heard of in an hour.
REPEATED_CALLS_SECONDS: Final = 30.0
# All pages of a large class come back in the same moment after a restart.
LISTEN_BACKLOG: Final = 2048
# What a deployment asks the system for: a socket for each page, and files.
OPEN_FILES: Final = 65_536
# No descriptor was left for a connection that is handed over: look again after.
ACCEPT_AGAIN_SECONDS: Final = 1.0
CORS_MAX_AGE_SECONDS: Final = 86_400

# -- functions/processes ----------------------------------------------------------

# Of the garbage collector: young objects until it looks, and how often further.
GARBAGE_THRESHOLDS: Final = (50_000, 20, 100)
# How often the supervisor looks for calls past their limit: a hung mutation is
# gone at most this much after its second.
WATCH_SECONDS: Final = 0.05
# A query faster than this may wait behind others in a reader's pipe.
QUICK_QUERY_SECONDS: Final = 0.005
QUERIES_IN_A_READER: Final = 8
# What a reader has answered waits so long for what comes behind it in the same batch, and
# so long at most until half of the batch is answered: while one half is on its way to the
# callers, and their next questions back, the other half runs.
ANSWERS_HELD_SECONDS: Final = 0.0005
HALF_HELD_SECONDS: Final = 0.004
MAX_WAITING_MUTATIONS: Final = 10_000
# A group is sealed, once the disk is free, when the queue is empty, or at this many
# mutations or this age. Half of what 64 callers that wait for their answers keep on the
# way: while one half is flushed the other runs.
GROUP_MUTATIONS: Final = 32
GROUP_SECONDS: Final = 0.005
# A finished mutation waits this long at most behind a running one.
GROUP_HELD_SECONDS: Final = 0.010
STOP_PROCESS_SECONDS: Final = 5.0
# The index keeper has so long to put to rest what it has; whatever it has not written by
# then it reads again at the next start, which costs less than a stop that drags on.
KEEPER_STOP_SECONDS: Final = 2.0
# Whoever asks how the deployment stands waits so long for one that may hang.
KEEPER_STATUS_SECONDS: Final = 2.0
# A push's modules are loaded in so long, with all that they import (torch: 20 s
# from a slow disk); then they are taken for a loop without an end.
LOAD_MODULES_SECONDS: Final = 30.0
# How much longer it may take on a machine that keeps the process from working.
LOAD_PATIENCE_SECONDS: Final = 30.0
# What a function process may have of memory of its own: a read is 16 MiB at most,
# so this is for libraries; the rest of the machine is for the other processes.
FUNCTION_MEMORY_BYTES: Final = 4 << 30
# A process that dies so often before it is ready will not come up by trying again.
PROCESS_STARTS: Final = 3
# Writers that may die in a row without having answered anything, or of any call.
WRITER_DEATHS: Final = 5

# -- in Jupyter: kernel client, server extension, command line --------------------

# A deployment that was just started answers within a second or two on a laptop;
# a loaded machine gets ten times that before the start is called failed.
START_SECONDS: Final = 30.0
# Whether an address still answers: loopback, so anything longer is a dead process.
PROBE_SECONDS: Final = 2.0
# A deployment that notebooks started ends this long after its last client.
IDLE_EXIT_SECONDS: Final = 30 * 60.0
# One call: the deployment itself ends user code long before (actions take minutes).
CALL_SECONDS: Final = 600.0
# How long a live result is awaited where Python asks for its value.
LIVE_SECONDS: Final = 10.0
# The first statement in SQL waits for the mirror of all tables to be built.
SQL_FIRST_SECONDS: Final = 60.0
# What `db.sql` brings at once: answers that people look at whole, and none of a million
# rows, which take a second and 30 MB. Python fetches the others when it asks for them.
SQL_FIRST_ROWS: Final = 1_000
# What completion waits for names: longer, and it comes after the next keystroke. The
# fields of a table without a schema are those of so many of its newest documents.
COMPLETION_SECONDS: Final = 0.08
COMPLETION_DOCUMENTS: Final = 20
# Between the runs of a `%%live` cell: what a person can follow, and the kernel's cells
# have their turns.
LIVE_CELL_SECONDS: Final = 0.25
# Reconnecting: first wait and ceiling (npm's client: 1 s and 16 s; we are on loopback).
RECONNECT_SECONDS: Final = 0.1
RECONNECT_MOST_SECONDS: Final = 5.0
# The server's pings come every 15 s; twice that and the line is dead.
SILENCE_SECONDS: Final = 35.0
# Lines of one import request, a few MB at most, and requests on their way: so much
# that the deployment always has enough for two groups.
IMPORT_BATCH_LINES: Final = 10_000
IMPORT_BATCH_BYTES: Final = 4 << 20
IMPORTS_IN_FLIGHT: Final = 4
# A progress bar for what takes less than this only flickers.
PROGRESS_AFTER_SECONDS: Final = 1.0
# Faster than that nobody reads it.
PROGRESS_EVERY_SECONDS: Final = 0.2
# What a notebook file keeps of a result: enough to read, too little to bloat git.
STATIC_ROWS: Final = 20
STATIC_COLUMNS: Final = 30
STATIC_BYTES: Final = 64 << 10
STATIC_CELL_CHARS: Final = 120
# Documents asked for at once when a whole table is read.
READ_PAGE_DOCUMENTS: Final = 4_000
# Inbound and relayed WebSocket messages: arguments of 16 MiB, results of 64.
SOCKET_MESSAGE_BYTES: Final = 64 << 20

# -- widgets --------------------------------------------------------------------

# Over a widget's comm: faster than this nobody reads, and a Jupyter server cuts
# a kernel's output at 1,000,000 bytes a second.
WIDGET_UPDATES_PER_SECOND: Final = 20
WIDGET_BYTES_PER_SECOND: Final = 500_000
# How long the writer's threads wait for one another's turn; Python's own is 5 ms, and
# the flusher waits for it each time a system call of its has come back.
WRITER_SWITCH_SECONDS: Final = 0.0005
# How many mutations the writer runs before it looks for what has arrived meanwhile.
TURNS_BETWEEN_LOOKS: Final = 16
# A mutation known to be quicker than this may gather with a group kept open for it.
QUICK_MUTATION_SECONDS: Final = 0.002
# What is due by the clock is run when nobody waits, and after so many calls in any case.
CALLS_BEFORE_DUE: Final = 8
# How often the writer looks for what is past retention, and how long its chores
# rest after the disk had no room.
CHORES_SECONDS: Final = 5.0
# While calls keep coming, a slice of its chores (about 3 ms) is done so often.
CHORES_LATE_SECONDS: Final = 0.025
# Documents of an import that are one transaction, and their lines' bytes if they are
# long: the writer is held so long.
IMPORT_BATCH_DOCUMENTS: Final = 1000
IMPORT_BATCH_MOST_BYTES: Final = 1 << 20
# Batches that readers prepare before the writer can have them.
IMPORT_BATCHES_AHEAD: Final = 2
# Batches sent to the writer and not durable yet: two groups and what is on its way.
IMPORT_BATCHES_ON_THEIR_WAY: Final = 48
# Batches made durable together. A group changes most pages of an index with random
# keys, few documents or many; and its mutations wait for it, about 10 µs a document.
IMPORT_GROUP_BATCHES: Final = 16
IMPORT_GROUP_BYTES: Final = 16 << 20
# How long a group is held for the next batch of an import.
IMPORT_HELD_SECONDS: Final = 0.1
IDLE_LOOK_SECONDS: Final = 10.0

# -- exports and imports ----------------------------------------------------------

# Documents read at once for an archive: a snapshot is held for about 20 ms.
ARCHIVE_CHUNK_DOCUMENTS: Final = 2000
# Pages of a stream of documents: so many, as Convex's are, and about so many bytes.
# A page of changes ends with a commit, so one may be larger.
SNAPSHOT_PAGE_DOCUMENTS: Final = 1024
DELTA_PAGE_DOCUMENTS: Final = 128
STREAM_PAGE_BYTES: Final = 8 << 20
# The process that reads them waits so long for the next page to be asked for.
STREAM_LINGER_SECONDS: Final = 20.0
# What a table holds is told from so many of its documents, the newest; beyond so many
# names, fields are taken for data.
SHAPE_DOCUMENTS: Final = 1000
SHAPE_MOST_FIELDS: Final = 64
# As long as Convex keeps an export's file.
EXPORT_KEPT_SECONDS: Final = 14 * 24 * 3600.0
# Rows of an import that are committed together, and of how many bytes: the writer,
# and so every other mutation, is held for about 50 ms.
IMPORT_STEP_ROWS: Final = 1000
IMPORT_STEP_BYTES: Final = 4 << 20
# An import that goes on says so every so many rows: each time is a commit.
IMPORT_TELL_ROWS: Final = 20_000
# As the official command line sends files that are imported.
UPLOAD_PART_BYTES: Final = 5 << 20
# How long a client waits for news of an export or import.
TRANSFER_SECONDS: Final = 24 * 3600.0
# Convex's bound on the parts of an upload.
MAX_UPLOAD_PARTS: Final = 10_000

# -- followers --------------------------------------------------------------------

# Documents that a follower takes in at once: a snapshot is held while they are read
# (about 0.1 s), and a follower's files are written once for all of them.
FOLLOWER_RUN_DOCUMENTS: Final = 10_000
# Nor does it hold more of their bytes at once, or of few documents that are larger.
FOLLOWER_RUN_BYTES: Final = 16 << 20
# How many of them are read in one go: at first, since nobody knows how large they are,
# and at most. 2,000 small ones stay in the processor's cache.
FOLLOWER_READ_DOCUMENTS: Final = 64
FOLLOWER_READ_MOST_DOCUMENTS: Final = 2048
# Log entries read until a run is full, twice as many each time; an import's has 1,000
# documents.
FOLLOWER_READ_COMMITS: Final = 8
# A mutation, which all others wait for, waits so long for a follower; a query longer.
FOLLOWER_MUTATION_SECONDS: Final = 0.2
# One that was behind in the last so many seconds it does not wait for as long again, but
# so long: mutations that search would hold up all others while an index is built.
FOLLOWER_HURRY_SECONDS: Final = 1.0
FOLLOWER_HURRIED_SECONDS: Final = 0.02
FOLLOWER_QUERY_SECONDS: Final = 10.0
# Beyond that, the answer itself may take so long.
FOLLOWER_ANSWER_SECONDS: Final = 1.0
# A query of a table with more rows than this asks the columnar mirror, if it keeps
# little of them; one that is just behind is waited for so long.
SCAN_PAYS_ROWS: Final = 2000
SCAN_PATIENCE_SECONDS: Final = 0.05
# Where nobody knows how many rows will be read, so many are before it is asked. It then
# gives so many at first and at most, and no more once they have so many bytes.
SCAN_PROBE_ROWS: Final = 256
SCAN_BATCH_ROWS: Final = 2048
SCAN_MOST_BATCH_ROWS: Final = 4096
SCAN_BATCH_BYTES: Final = 4 << 20
# Of the first so many rows in an order DuckDB reads the order first, and the documents of
# these alone; of more, and where few rows pass a filter, all in one go.
SCAN_ORDERED_ROWS: Final = 1000
# How often the mirror forgets what is past `HISTORY_RETENTION_SECONDS`.
MIRROR_TRIM_SECONDS: Final = 60.0
# Aggregates that the mirror keeps, to fold commits into them; each of so many groups.
FOLDED_AGGREGATES: Final = 256
FOLDED_GROUPS: Final = 10_000
# Of each table with such aggregates, so many changes are at hand to be folded in.
FOLDED_CHANGES: Final = 20_000
# Statements whose columns' profiles are kept, and how many rows may come and go between
# two answers: up to so many, counting their values is quicker than counting all.
KEPT_PROFILES: Final = 64
PROFILE_CHANGED_ROWS: Final = 20_000
# The rows of statements that pages read by window, in the mirror's process: an answer of
# a million rows of ten numbers takes 80 MB. One that nobody has asked about for so long
# is let go; who still looks at it has it made again.
KEPT_ANSWERS_BYTES: Final = 256 << 20
KEPT_ANSWER_SECONDS: Final = 300.0
# Documents that the mirror has taken in and not yet written: 512 cost DuckDB some 15 ms,
# one costs it 8. Beyond the second, following waits for them.
MIRROR_PENDING_DOCUMENTS: Final = 512
MIRROR_MOST_PENDING_DOCUMENTS: Final = 4096
# Nor have they more bytes, which are in memory.
MIRROR_PENDING_BYTES: Final = 4 << 20
MIRROR_MOST_PENDING_BYTES: Final = 32 << 20
# While the mirror is so far behind, documents that are only inserted are written in one
# transaction of DuckDB's, up to so many: four row groups, which are written as they fill.
MIRROR_UNSETTLED_DOCUMENTS: Final = 4 * 122_880
# DuckDB's log is brought into its file when it is so long, or the mirror rests. At its
# own 16 MB following took 8 µs of a document for that, at this size 3.
MIRROR_CHECKPOINT_BYTES: Final = 128 << 20
# Row groups (122,880 documents) that DuckDB gathers before it compresses and writes them:
# at its own 5 most of a table of a million was written at its end, when all waited for it.
MIRROR_ROW_GROUPS: Final = 1
# When so many documents have come since the mirror's file was opened, it is opened anew as
# it rests, which takes some 10 ms: of what came DuckDB fetches a few as slowly as all.
MIRROR_FRESH_DOCUMENTS: Final = 50_000
# Slices of a table that are read while DuckDB does that, which takes some 0.3 s.
MIRROR_WAITING_SLICES: Final = 3
# Runs of commits that are read and shredded while it does that, far behind.
MIRROR_WAITING_RUNS: Final = 3
# A live query that met one which is behind is asked again after so long.
FOLLOWER_RETRY_SECONDS: Final = 1.0
# How many documents one is behind is counted for people who look, up to so many.
FOLLOWER_MOST_BEHIND: Final = 10_000
# Followers are so much nicer (man 7 sched) than who commits and who answers: on two busy
# cores they fall behind, and commits do not. Much nicer, and those who wait for them wait.
FOLLOWER_NICE: Final = 5
# A follower that failed tries again after so long.
FOLLOWER_REST_SECONDS: Final = 5.0
# A follower's files are brought to rest when nothing has come for so long.
FOLLOWER_IDLE_SECONDS: Final = 2.0
# How often it is looked whether what one keeps for who asks again is still wanted.
FOLLOWER_LET_GO_SECONDS: Final = 60.0

# -- vector search ------------------------------------------------------------------

# A search gives so many documents unless it is told, and at most so many; a filter
# has at most so many values. Convex's.
VECTOR_RESULTS: Final = 10
MAX_VECTOR_RESULTS: Final = 256
MAX_VECTOR_FILTER_VALUES: Final = 64
# Up to so many vectors every one is compared: at 384 dimensions about 0.7 ms.
VECTOR_EXACT_ROWS: Final = 10_000
# Beyond that a search is to find this share of the ten nearest: as measured on the
# vectors there are. 1.0 compares them all; each hundredth more costs more than the last.
VECTOR_RECALL: Final = 0.97
# The lists are cut anew when there are so many times more vectors, or fewer.
VECTOR_REBUILD_GROWTH: Final = 4
# Superseded vectors are kept so long, for answers as of a little while ago (as long as
# the protocol needs), and forgotten when there are so many and an eighth more.
VECTOR_PAST_SECONDS: Final = 240.0
VECTOR_PAST_ROWS: Final = 1_000
# What passes a filter is kept from search to search, a bit for each vector, all of it
# together in so many bytes (1,400 filters of 100,000 vectors, 200 of a million), and
# brought up to date by so many of the last changes; after more it is found anew.
VECTOR_SELECTIONS_BYTES: Final = 32 << 20
VECTOR_JOURNAL_ROWS: Final = 8_192
# The vectors that pass a filter which is asked for again are kept once more, beside each
# other, where they are at most this share of all. Such copies together have at most that
# share: room for a half and for smaller ones, since one in a hundred beside it kept a half
# out, whose searches took twice as long. Each search copies about so many. How often a
# filter was asked for counts half after so many searches.
VECTOR_EXCERPT_MOST: Final = 1 / 2
VECTOR_EXCERPTS: Final = 0.6
VECTOR_EXCERPT_STEP: Final = 4_096
VECTOR_USES_HALVED: Final = 4_000
# An index that has changed is put to rest, too, once as many searches as it has vectors,
# times this, were asked of it since: a vector's 1,550 bytes to write for each of them.
VECTOR_REST_SHARE: Final = 1.0

# -- text search --------------------------------------------------------------------

# Words that a search heeds, and what its last one may be the beginning of: those in
# most documents. Longer words are left out. Convex's, as are the next two.
MAX_SEARCH_WORDS: Final = 16
MAX_SEARCH_COMPLETIONS: Final = 16
MAX_WORD_BYTES: Final = 31
MAX_SEARCH_FILTERS: Final = 8
MAX_SEARCH_RESULTS: Final = 1024
# Results are asked for as they are wanted: so many, then all there may be.
SEARCH_FIRST_RESULTS: Final = 32
# Fused searches look so deep into each ranking, and a rank counts 1 / (this + rank):
# the constant of Cormack, Clarke and Büttcher (2009).
FUSED_DEPTH: Final = 100
FUSED_RANK: Final = 60
# Documents that are searched in memory before they go to Tantivy (of a small index fewer,
# see there): a commit to it takes about 20 ms and leaves a segment to be merged.
TEXT_TAIL_ROWS: Final = 1_000
# Superseded texts are kept so long, for answers as of a little while ago; when there are
# so many and a thirty-second more, half of them are forgotten.
TEXT_PAST_SECONDS: Final = 240.0
TEXT_PAST_ROWS: Final = 1_000
# Beginnings of words whose completions are kept until Tantivy has more texts, a few KB
# each: one letter has thousands, and most people begin with the same.
TEXT_KEPT_BEGINNINGS: Final = 512
# What Tantivy gathers before it writes a segment, each of which costs a search 15 µs: of
# short texts 900,000 or so; of fewer it takes less. Its least is 15 MB.
TEXT_WRITER_BYTES: Final = 192_000_000
# Small segments become one while nothing else is to be done, of so many bytes of stored
# texts at most (750,000 short ones, which Tantivy gathers at once): 200,000 in three
# seconds.
TEXT_GATHERED_BYTES: Final = 100_000_000
# An index that has changed is put to rest, too, once one search in so many of its texts
# was asked of it since: its files are 50 bytes a text.
TEXT_REST_SHARE: Final = 100

# -- vector and text search ---------------------------------------------------------

# An index's files are written when one in so many of its entries has changed, or when
# they are so old: what came since is read from the log again, which costs less.
INDEX_SAVE_SHARE: Final = 50
INDEX_SAVE_SECONDS: Final = 600.0
# A reader that has asked for so much of one index searches it by itself where it is at
# rest: 20 or 26 MB of libraries, and a tenth of a second or more of processor time beside
# what it does. It asks again after so long whether there are other files, and lets go of
# those that nobody asks for.
NEAR_SEARCHES: Final = 32
NEAR_SECONDS: Final = 1.0
NEAR_IDLE_SECONDS: Final = 60.0
# So often it looks at most whether somebody wrote into them: two calls of the system for
# vectors, which take 6 µs out of cold caches, and a hundred for texts.
NEAR_CHECK_SECONDS: Final = 0.01
# The files that a reader has open at most, so many bytes together of texts and so many of
# vectors (1.3 million of 384 numbers). All readers have them in memory once, but the keeper
# has the vectors beside; where there is no room a search would wait for the disk, and
# whoever waits for it too.
NEAR_BYTES: Final = 2 << 30

# -- embeddings -----------------------------------------------------------------------

# The model where none is named: small, quick on a CPU, 384 dimensions.
EMBEDDING_MODEL: Final = "all-MiniLM-L6-v2"
# Texts embedded at once: about half a second's, so that an action's own text waits no
# longer; and written in one transaction.
EMBEDDING_BATCH: Final = 32
# Commits are gathered so long before anybody looks what they left to embed.
EMBEDDING_GATHER_SECONDS: Final = 0.05
# After a failure it is tried again so much later, twice as late each time up to a most.
EMBEDDING_RETRY_SECONDS: Final = 1.0
EMBEDDING_RETRY_MOST_SECONDS: Final = 60.0
# The model's process ends when nobody has asked it for so long: it takes 0.5 GB.
EMBEDDER_IDLE_SECONDS: Final = 300.0
# What was embedded is written down at least so often.
EMBEDDING_SAVE_SECONDS: Final = 30.0

# -- actions ----------------------------------------------------------------------

# Convex's for its Node actions; module loading and waiting for other functions included.
ACTION_SECONDS: Final = 10 * 60.0
# How long a cancelled action may take to put things in order.
CANCEL_SECONDS: Final = 2.0
# Convex's bound on what one action has under way.
MAX_ACTION_CALLS: Final = 1000
# Plain actions that run at once, each in a process (about 60 MB); more wait. Those
# that a plain action calls come on top, since it waits for them: together so many.
PLAIN_RUNNERS: Final = 16
MAX_PLAIN_RUNNERS: Final = 64
# Actions may call actions so deep.
MAX_NESTED_ACTIONS: Final = 8
# A runner that had nothing to do for so long ends; the last one stays warm.
RUNNER_IDLE_SECONDS: Final = 60.0
# How often a shared runner says that its event loop turns, and how long it may not
# until new actions are given to another.
RUNNER_BEAT_SECONDS: Final = 0.25
RUNNER_STALL_SECONDS: Final = 1.0
# So many questions of a shared runner are with the index keeper at once, each on a thread
# there, and one asks for at most so many vector searches: then the keeper compares while
# the runner tells. Of 16 callers 4 and 4 had 3,395 searches a second, 2 and 16 3,125, 6 and
# 2 3,110. N.B. from 20 on FAISS compares centres in another way, on threads of its own.
RUNNER_KEEPER_CALLS: Final = 4
RUNNER_KEEPER_SEARCHES: Final = 4
# How often it is looked whether a runner has died that something keeps from closing.
RUNNER_LOOK_SECONDS: Final = 1.0
# An action that holds up its event loop for longer is told so.
LONG_STEP_SECONDS: Final = 0.5
# Convex's, for requests and for responses of HTTP actions.
HTTP_ACTION_BYTES: Final = 20 << 20
# Of a body between two processes: in such parts, and so much on the way.
HTTP_PART_BYTES: Final = 64 << 10
HTTP_WINDOW_BYTES: Final = 256 << 10
# A client that is told nothing is looked after so often.
HTTP_LOOK_SECONDS: Final = 0.5
MAX_FORM_FIELDS: Final = 1000
# Environment variables: how many, how long a name and a value, and all together. The
# larger of what Convex documents and of what it does.
MAX_ENV_VARS: Final = 1000
MAX_ENV_VAR_NAME_CHARS: Final = 256
MAX_ENV_VAR_VALUE_BYTES: Final = 8 << 10
MAX_ENV_VARS_BYTES: Final = 512 << 10
# A key is derived from CONVEXLAB_SECRET as it stands, so it must be long enough not to
# be guessed.
MIN_SECRET_CHARS: Final = 32

# -- files ------------------------------------------------------------------------

# An upload URL holds so long; Convex's.
UPLOAD_URL_SECONDS: Final = 3600.0
# How long clients may keep what they have of a file; Convex's.
FILE_MAX_AGE_SECONDS: Final = 2_592_000
# Bytes that are moved between socket and disk at once.
FILE_BLOCK_BYTES: Final = 1 << 20
# An upload is flushed to the disk each time so much has come: flushed in one go at its
# end, a gigabyte held up every commit for 0.3 s; so, 0.03 to 0.06 s.
FILE_FLUSH_BYTES: Final = 32 << 20
# A file's first bytes go with the head of its response; the kernel moves the rest.
FILE_FIRST_BYTES: Final = 64 << 10
# What a thread hands to the kernel before another client's file has its turn.
FILE_TURN_BYTES: Final = 16 << 20
# Bytes that no document refers to stay so long: a document comes after its bytes.
FILE_GRACE_SECONDS: Final = 600.0
# How often they are looked for, and how many of them at once.
FILE_SWEEP_SECONDS: Final = 600.0
FILE_SWEEP_FILES: Final = 1000

# -- logs -------------------------------------------------------------------------

# What the file of the log holds, about: some 50,000 runs that print a line each.
LOG_BYTES: Final = 16 << 20
# What of it is in memory, for who follows.
LOG_RECENT_BYTES: Final = 1 << 20
# How long entries are gathered before they are written: what a crash may cost.
LOG_WRITE_SECONDS: Final = 0.25
# What one answer holds of the log: as many entries as Convex keeps, and about so much.
LOG_PAGE_ENTRIES: Final = 1000
LOG_PAGE_BYTES: Final = 4 << 20
# How long who follows waits for an entry, as in Convex, and for those beside it.
LOG_POLL_SECONDS: Final = 60.0
LOG_GATHER_SECONDS: Final = 0.05
# How often memory and derived indexes are looked at while somebody watches them: often
# enough for eyes.
VITALS_SECONDS: Final = 1.0
