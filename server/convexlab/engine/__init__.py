"""How what is stored is committed: reads recorded, writes in groups, a log of all.

Reading order
    timestamp     positions in commit order
    interval      intervals of index keys, and sets of them
    write_set     revisions, and a document's way from one to the next
    versions      what a group of commits made of each document
    look          one interval that was looked at
    read_set      what was looked at
    overlay       what differs from a base: points and ranges merged
    log           what each commit wrote, as the store keeps it
    persistence/  the store: contract, memory, sqlite
    snapshot      reads at one timestamp
    table         a table and its indexes, and its documents' keys in them
    system_tables those that are built in
    catalog       tables, indexes and schemas, from the system tables
    past          the catalog of a past snapshot, and a document's revisions
    definitions   how those are written
    cache         revisions at hand
    limits        what one transaction may do
    constraints   what a document must satisfy to be written
    view          a snapshot, and over it what was written: what a transaction sees
    reads         what it reads, recorded and counted
    writes        what it writes, checked
    transaction   its beginning, its savepoints and its end
    committer     the only code that changes the database
    backfill      filling a new index, checking a new schema, in slices
    retention     how far back log and history reach
    audit         whether a store holds together
"""
