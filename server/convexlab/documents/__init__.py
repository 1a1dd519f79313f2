"""What is stored: values and documents, their order, their ids, and what they may look like.

Pure code without I/O, and the words that every other package uses. Read

    value         what a document may hold; conversion and rules take it in
    equality      when two are the same
    encoding      a value as JSON: in the store, on the wire, in exports
    floats        whether numbers side by side are floats, told quickly
    ordering      the order of values, and keys that compare like them
    ids           the strings that name documents
    moment        how users say when
    rows          documents in files: CSV, JSON
    document      a dict with an id and a creation time; its keys in indexes
    validator     what a value may look like, and what is wrong with one; display shows it
    validators    the kinds for single values; containers, those that hold others
    v             how users make them
    expression    what a filter asks of a document; predicate says what it answers
    schema        the tables of a deployment and their indexes
    references    how users name a function by attributes; calls, what stands after its name
"""
