"""Vector search: every document's vector in FAISS, nearest ones first.

Reading order: request (what is asked) · units (a field's value as a unit vector) ·
lists (FAISS's inverted lists) · selecting (which slots a search may find) · excerpts
(what passes a filter, kept together) · building (how lists are cut) · answers (a
request's vectors, and what was found) · index (one index: all of it together) · resting
(its files) · one_by_one (searching what does not change) · rested (one that another
process looks at) · follower (all indexes of a deployment).
"""
